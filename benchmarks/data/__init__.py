"""Writing data: throughput, processor time and memory, beside other libraries in one run."""
