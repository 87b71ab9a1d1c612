"""ship: a device goes from its site to a dock, as a carrier would bring it, damage on request included.

`cargo` says what of a device travels, `loading` brings it into the dock under a hidden name, `damage` does
what a drill asks for, `job` leads through the states. `dock` keeps the records.
"""
