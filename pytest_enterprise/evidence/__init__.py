"""What an auditor reads of runs, made from run directories alone: records, OSCAL, HDF, CSV; signed, and in a ledger."""
