"""The policy pack: what no change of this program may do, whoever reviews it.

Run it with `pulumi preview` and `pulumi up`, by `--policy-pack policy`: docs/policies.md.
"""
