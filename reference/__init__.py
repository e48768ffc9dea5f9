"""What is generated from the models of settings/, which alone describe each setting.

`make reference` writes it; a unit test, and so `make check`, compares it.
"""
