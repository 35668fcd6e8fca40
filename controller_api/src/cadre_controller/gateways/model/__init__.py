"""The model gateway: chooses, pays, scans again, forwards and meters; the only place that holds a
provider's credential.
"""
