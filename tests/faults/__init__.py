"""Faults made for real: killed processes, full disks, damaged files, hostile input; and what must hold after.

A short version runs with every other test; ``make torture`` runs the long one and prints its seed and counts.
"""
