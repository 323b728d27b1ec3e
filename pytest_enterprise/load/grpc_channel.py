"""What every gRPC channel of a load is made with, by Locust's users and by the native engine."""

from __future__ import annotations

CHANNEL_OPTIONS = (
    # Nothing is retried behind the user's back, and a server that comes back is found soon.
    ("grpc.enable_retries", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    # What it calls so is how long connecting may take: the same 3 s as in other protocols. The pause is the one above.
    ("grpc.min_reconnect_backoff_ms", 3000),
    ("grpc.max_receive_message_length", 64 << 20),
    ("grpc.use_local_subchannel_pool", 1),  # no connection is shared between channels
)
