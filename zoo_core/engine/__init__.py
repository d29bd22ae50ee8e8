"""The machine: device, precision, memory, processes, and the one wrapper around Accelerate.

Imports ``trainer``, ``dataset``, ``config`` and ``runs``; ``weights``, ``checkpoint``, ``loggers``, ``training`` and
what is above them import it.
"""
