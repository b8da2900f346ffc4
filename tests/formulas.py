"""Sums that the prose writes as formulas: what their sides amount to, and whether they agree.

Only arithmetic is read: numbers, powers, fractions, roots, logarithms, rounding down. A formula
with a symbol in it says nothing here.
"""

import ast
import math
import operator
import re

__all__ = ["arithmetic", "calculate", "false_equations", "values"]

FORMULA = re.compile(r"\$\$(.+?)\$\$|\$([^$]+)\$", re.DOTALL)
RELATION = re.compile(r"(&?=|\\approx|\\leq?\b|\\geq?\b|<|>)")
ORDERS = {"<": operator.lt, ">": operator.gt, r"\le": operator.le, r"\ge": operator.ge}
BARE = re.compile(r"\s*-?[\d.]+\s*")
# Between formulas of one line, and between lines.
APART = re.compile(r"\\\\|\\qquad|\\quad|\\text\{[^}]*\}|\\(?:begin|end)\{\w+\}|\s[.,;]\s")
# In this order: what LaTeX writes, and what Python does.
TRANSLATION = [
    (r"\{,\}|(?<=\d)\\[,;](?=\d{3}(?!\d))", ""),  # separators of thousands
    (r"\\under(?:brace|set)|_\{[^{}]*\}|\\left|\\right|\\[,;!]|\\mathrm", " "),
    (r"\\[td]?frac(\d)(\d)", r"((\1)/(\2))"),
    (r"\\[td]?frac\{([^{}]*)\}\{([^{}]*)\}", r"((\1)/(\2))"),
    (r"\\sqrt\{([^{}]*)\}", r"sqrt(\1)"),
    (r"\\(?:ln|log) ?(\((?:[^()]|\([^()]*\))*\)|[\d.]+)", r"log(\1)"),
    (r"\\lfloor", "floor("),
    (r"\\rfloor", ")"),
    (r"\\%", "/100"),
    (r"\\cdot|\\times", "*"),
    (r"\^", "**"),
    (r"[{]", "("),
    (r"[}]", ")"),
]
OPERATIONS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Pow: operator.pow,
}
FUNCTIONS = {"exp": math.exp, "floor": math.floor, "log": math.log, "sqrt": math.sqrt}


def calculate(node: ast.AST) -> float | None:
    """What an expression of literals amounts to; None where it holds anything else."""
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return number
        case ast.UnaryOp(op=ast.USub(), operand=inner):
            number = calculate(inner)
            return None if number is None else -number
        case ast.Call(func=ast.Name(id=name), args=[inner]) if name in FUNCTIONS:
            number = calculate(inner)
            return None if number is None else FUNCTIONS[name](number)
        case ast.BinOp(left=left, op=operation, right=right) if type(operation) in OPERATIONS:
            pair = calculate(left), calculate(right)
            if None in pair or (isinstance(operation, ast.Pow) and abs(pair[1]) > 99):
                return None
            try:
                return OPERATIONS[type(operation)](*pair)
            except ArithmeticError:
                return None
    return None


def arithmetic(text: str) -> float | None:
    """What arithmetic in Python's writing amounts to; None if it is none."""
    try:
        return calculate(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, ValueError):
        return None


def side(latex: str) -> float | None:
    """What one side of a formula amounts to, if it is arithmetic."""
    for pattern, python in TRANSLATION:
        latex = re.sub(pattern, python, latex)
    return arithmetic(latex.strip(" \n.,;&"))


def sides(text: str) -> list[list[str]]:
    """The formulas of a text, each as its sides with the relations between them."""
    found = []
    for display, inline in FORMULA.findall(text):
        found += [RELATION.split(line) for line in APART.split(display or inline)]
    return found


def values(text: str) -> set[float]:
    """What the sides of a text's formulas amount to, without their signs.

    A formula that is nothing but a number amounts to nothing else, and is left out.
    """
    chains = [chain for chain in sides(text) if len(chain) > 1 or not BARE.fullmatch(chain[0])]
    numbers = [side(part) for chain in chains for part in chain[::2]]
    return {abs(number) for number in numbers if number is not None}


def false_equations(text: str) -> tuple[list[str], int]:
    """Formulas of which two neighbouring sides are arithmetic and do not agree.

    Returns:
        Those formulas, and how many pairs of sides could be compared.
    """
    wrong, compared = [], 0
    for chain in sides(text):
        for place in range(0, len(chain) - 2, 2):
            left, relation, right = chain[place : place + 3]
            if (a := side(left)) is None or (b := side(right)) is None:
                continue
            compared += 1
            if not holds(a, relation.strip("& "), b, right):
                wrong.append("".join(chain[place : place + 3]).strip())
    return wrong, compared


def holds(left: float, relation: str, right: float, written: str) -> bool:
    """Whether two sides agree, as far as the right one's last digit says."""
    if relation.rstrip("q") in ORDERS:
        return ORDERS[relation.rstrip("q")](left, right)
    digits = re.fullmatch(r"\D*\d[\d{},\\]*\.?(\d*)\D*", written.strip())
    half = 0.5 * 10.0 ** -len(digits[1]) if digits else 0.0
    percent = 0.01 if "%" in written else 1.0
    return abs(left - right) <= half * percent + 1e-9 * abs(right)
