"""What this machine is: GPUs, memory, capabilities, and a doctor that says what is wrong.

Nothing here imports torch or TensorRT, so the web process may use all of it.
"""
