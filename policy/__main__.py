"""Serves the policies to the engine."""

from __future__ import annotations

import sys
from pathlib import Path

# The engine runs this folder with itself at the start of the path; the pack is a package beside
# settings/ and components/.
sys.path[0] = str(Path(__file__).parent.parent)

import pulumi_policy

from policy.policies import POLICIES

pulumi_policy.PolicyPack(
    "k3s-registry", POLICIES, enforcement_level=pulumi_policy.EnforcementLevel.MANDATORY
)
