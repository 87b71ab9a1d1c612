"""Filling devices: what copy and export have in common.

A source says what there is to do (`source.Pass`) and turns it into pieces (`source.SourceSide`); `engine`
keeps them in order, in bounded queues, on their way to `transfer.device.writer`; `job` finds where a device
goes on and makes as many passes as it takes.
"""
