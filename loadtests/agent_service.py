"""What users of the agent service do: hand in a task, read it back, look at the list.

Under the ``load`` fixture, with ``pytest-enterprise load``, and under plain Locust with its web UI against a stack that
``pytest-enterprise up`` holds: ``locust -f loadtests/agent_service.py --host http://127.0.0.1:PORT``.
"""

import time
import uuid

from locust import events, task

from pytest_enterprise.load.users import EnterpriseUser

TRIES = 4
"""How often an honest client hands in a task, always with the same key, before it gives up."""
PAUSE = 0.2
"""Seconds before the second try; doubled before each further one."""


@events.init_command_line_parser.add_listener
def _(parser):
    parser.add_argument("--replay", type=float, default=0.05, help="share of tasks handed in once more, 0 to 1")
    parser.add_argument("--browse", type=float, default=0.1, help="share of journeys that look at the list, 0 to 1")


class Customer(EnterpriseUser):
    """Hands in ``rate`` tasks per second; each is acknowledged at most once, whatever it takes."""

    rate = 1.0

    @task
    def journey(self):
        a, b, c = (self.random.randrange(1000, 10000) for _ in range(3))
        body = {
            "goal": f"work out {a} times the sum of {b} and {c}",
            "plan": [{"tool": "calculator", "input": f"{a}*({b}+{c})"}],
        }
        key = str(uuid.UUID(int=self.random.getrandbits(128), version=4))
        task_id = self.hand_in(key, body)
        if task_id is None:
            return
        if self.random.random() < self.option("replay", 0):
            self.replay(key, body, task_id)
        self.read(task_id, str(a * (b + c)))
        if self.random.random() < self.option("browse", 0):
            self.client.get("/tasks?limit=10", name="/tasks")

    def hand_in(self, key, body):
        """The task's id once the service acknowledged it, None when it did not in :data:`TRIES` tries."""
        status = "unknown"
        try:
            for attempt in range(TRIES):
                if attempt:
                    time.sleep(PAUSE * 2 ** (attempt - 1))
                    if self.stopping:
                        break
                code, task_id = self.post(key, body)
                if task_id is not None:
                    status = "ok"
                    return task_id
                if 400 <= code < 500 and code != 429:
                    status = "fail"
                    break
        finally:  # stopped in the middle of a request, too
            self.acknowledged(key, status=status)
        return None

    def post(self, key, body):
        """One request: its status code (0: no answer) and the id in a good answer."""
        with self.client.post(
            "/tasks", json=body, headers={"Idempotency-Key": key}, name="/tasks", catch_response=True
        ) as answer:
            if answer.status_code not in (200, 201):
                return answer.status_code, None
            try:
                return answer.status_code, answer.json()["id"]
            except (ValueError, KeyError, TypeError):
                answer.failure("the answer names no task")
                return answer.status_code, None

    def replay(self, key, body, task_id):
        """The same key again must give the same task."""
        code, again = self.post(key, body)
        if again is not None and (again != task_id or code != 200):
            self.wrong("POST", "/tasks (replay)", f"a replay made a task of its own (HTTP {code})")

    def read(self, task_id, expected):
        """The task must be there, with the right answer."""
        with self.client.get(f"/tasks/{task_id}", name="/tasks/{id}", catch_response=True) as answer:
            if answer.status_code == 200 and expected not in (answer.text or ""):
                answer.failure("not the result of its plan")

    def wrong(self, method, name, message):
        """Record a finding that no single answer shows."""
        self.environment.events.request.fire(
            request_type=method, name=name, response_time=0, response_length=0, exception=AssertionError(message)
        )
