"""The tool gateway: decides on the arguments as delivered, asks a human where policy says so, and runs each
call once.
"""
