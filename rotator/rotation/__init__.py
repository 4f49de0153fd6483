"""The heart: observe, decide, act. It knows no cloud and no HTTP."""
