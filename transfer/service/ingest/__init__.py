"""The dock and its imports; knows nothing of HTTP. `supervisor` is its front, and names the others."""
