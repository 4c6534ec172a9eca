"""Owns the demo's play: the small project, the three agents with their prompts and scripted replies, and the
result that their work must have.

The prompts are their own markers. The pauses are there for whoever watches. Nothing in here starts anything.
"""

from __future__ import annotations

from dataclasses import dataclass

from .scripts import Step

PROJECT = "till"

TILL = '''"""A till: adds up a basket of (name, price in cents, amount)."""


def total(basket):
    cents = 0
    for _name, price, _amount in basket:
        cents += price
    return cents
'''

TEST = """import unittest

from till import total


class TotalTest(unittest.TestCase):
    def test_one_of_each(self):
        self.assertEqual(total([("apple", 30, 1), ("bread", 250, 1)]), 280)


if __name__ == "__main__":
    unittest.main()
"""

# What is in the repository before the agents come, by path.
FILES = {"README.md": "# till\n\nAdds up a shopping basket.\n", "till.py": TILL, "test_till.py": TEST}

PATCH = """*** Begin Patch
*** Update File: till.py
@@
-    for _name, price, _amount in basket:
-        cents += price
+    for _name, price, amount in basket:
+        cents += price * amount
*** Update File: test_till.py
@@
         self.assertEqual(total([("apple", 30, 1), ("bread", 250, 1)]), 280)
+
+    def test_amounts_count(self):
+        self.assertEqual(total([("apple", 30, 3)]), 90)
*** Add File: CHANGES.md
+# Changes
+
+- The total counts how many of an item are bought.
*** End Patch"""

# What must be different afterwards, by path.
CHANGED = {
    "till.py": TILL.replace("_amount", "amount").replace("+= price", "+= price * amount"),
    "test_till.py": TEST.replace(
        "280)\n",
        '280)\n\n    def test_amounts_count(self):\n        self.assertEqual(total([("apple", 30, 3)]), 90)\n',
    ),
    "CHANGES.md": "# Changes\n\n- The total counts how many of an item are bought.\n",
}


@dataclass(frozen=True)
class Part:
    """One agent: its name, what it may touch, what it is asked, and what the scripted model makes it do."""

    name: str
    sandbox: str
    prompt: str
    steps: tuple[Step, ...]
    last_words: str
    changes: tuple[str, ...] = ()

    @property
    def script(self) -> tuple[Step, ...]:
        """The steps, and then the last words."""
        return *self.steps, Step.message(self.last_words).after(0.8)


PARTS = (
    Part(
        "edit",
        "workspace-write",
        "The total in till.py ignores how many of an item are bought. Mend that, add a test, and note it in "
        "CHANGES.md.",
        (
            Step.all(Step.message("I read the code first."), Step.command("cat till.py test_till.py")).after(0.5),
            Step.all(Step.message("The amount is never used. I mend it."), Step.patch(PATCH)).after(0.8),
            Step.all(Step.message("Now the tests."), Step.command("python3 -B -m unittest -v")).after(0.6),
        ),
        "The total now multiplies price by amount; a new test and a line in CHANGES.md go with it.",
        tuple(CHANGED),
    ),
    Part(
        "report",
        "read-only",
        "Look at this repository with git and tell me what is in it. Change nothing.",
        (
            Step.all(Step.message("I ask git."), Step.command("git ls-tree -r --name-only HEAD")).after(0.4),
            Step.command("git log --format='%h %an: %s'").after(0.6),
        ),
        "Three files under version control and one commit, 'A till'.",
    ),
    Part(
        "answer",
        "read-only",
        "In one sentence: why should an amount of money be kept in cents?",
        (),
        "Whole cents add up exactly; fractions of a unit, kept in binary, are off by a little at every step.",
    ),
)
