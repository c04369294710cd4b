# Functions with sympy, of the kind that models write when they are asked for exact answers. `README.md` says how they
# are written down, `check.py` holds them against sympy outside of the sandbox.

#: ["x**2 - 5*x + 6"] -> [2, 3]
from sympy import symbols, solve, sympify

def solve_quadratic(expression):
    x = symbols("x")
    return sorted(int(root) for root in solve(sympify(expression), x))

#: [3, 1, -10] -> {"x": "-2", "y": "-4"}
import sympy as sp

def linear_system(a, b, c):
    x, y = sp.symbols("x y")
    solution = sp.solve([a * x + b * y - c, x - y - 2], [x, y])
    return {str(key): str(value) for key, value in solution.items()}

#: ["x**4 - 10*x**2 + 9"] -> ["-3", "-1", "1", "3"]
from sympy import *

def real_roots_of(text):
    x = Symbol("x", real=True)
    return [str(r) for r in sorted(solve(sympify(text, locals={"x": x}), x))]

#: [2, 3] -> ["-1.0000000", "0.5 - 1.6583124*I", "0.5 + 1.6583124*I"]
from sympy import *

def cubic_roots(p, q):
    x = symbols("x")
    return [str(N(r, 8)) for r in Poly(x**3 + p * x + q, x).nroots()]

#: ["x**2 + 1"] -> ["-I", "I"]
from sympy import symbols, solveset, S, sympify

def complex_solutions(text):
    x = symbols("x")
    return sorted(str(s) for s in solveset(sympify(text), x, domain=S.Complexes))

#: [1, 8] -> "3"
from sympy import symbols, Eq, solve, log

def exponent_for(base, target):
    x = symbols("x")
    return str(solve(Eq((base + 1)**x, target), x)[0])

#: [] -> "{pi/6, 5*pi/6}"
from sympy import *

def sine_equation():
    x = symbols("x")
    return str(solveset(sin(x) - S.Half, x, Interval(0, 2 * pi)))

#: [12, 35] -> [[5, 7], [7, 5]]
from sympy import symbols, solve

def numbers_from_sum_and_product(total, product):
    x, y = symbols("x y")
    pairs = solve([x + y - total, x * y - product], [x, y])
    return sorted([int(a), int(b)] for a, b in pairs)

#: [[[2, 1, -1, 8], [-3, -1, 2, -11], [-2, 1, 2, -3]]] -> [2, 3, -1]
from sympy import Matrix, linsolve, symbols

def solve_augmented(rows):
    x, y, z = symbols("x y z")
    (solution,) = linsolve(Matrix(rows), [x, y, z])
    return [int(value) for value in solution]

#: ["x**2 + y**2 - 25", "x - y - 1"] -> ["(-3, -4)", "(4, 3)"]
from sympy import *

def intersections(first, second):
    x, y = symbols("x y")
    return sorted(str(p) for p in solve([sympify(first), sympify(second)], [x, y]))

#: ["sqrt(x + 7) - x + 5"] -> ["9"]
import sympy

def radical_equation(text):
    x = sympy.Symbol("x")
    return [str(s) for s in sympy.solve(sympy.sympify(text), x)]

#: ["Abs(2*x - 3) - 7"] -> [-2, 5]
import sympy

def absolute_equation(text):
    x = sympy.Symbol("x", real=True)
    return sorted(int(s) for s in sympy.solve(sympy.sympify(text, locals={"x": x}), x))

#: [5] -> 5
from sympy import symbols, Eq, rsolve, Function

def fibonacci_closed_form(n):
    k = symbols("k", integer=True)
    a = Function("a")
    closed = rsolve(a(k + 2) - a(k + 1) - a(k), a(k), {a(0): 0, a(1): 1})
    return int(closed.subs(k, n).simplify())

#: [0.5, 1.0] -> 0.7390851332
from sympy import nsolve, cos, symbols

def fixed_point_of_cosine(low, high):
    x = symbols("x")
    return round(float(nsolve(cos(x) - x, x, (low, high), solver="bisect")), 10)

#: [] -> "[LambertW(1)]"
from sympy import *

def lambert_solution():
    x = symbols("x")
    return str(solve(x * exp(x) - 1, x))

#: ["a*x**2 + b*x + c"] -> ["(-b + sqrt(-4*a*c + b**2))/(2*a)", "(-b - sqrt(-4*a*c + b**2))/(2*a)"]
from sympy import *

def quadratic_formula(text):
    a, b, c, x = symbols("a b c x")
    return sorted(str(s) for s in solve(sympify(text), x))

#: ["V", "I*R"] -> "V/I"
from sympy import *

def rearrange(left, right):
    V, I_, R = symbols("V I R")
    names = {"V": V, "I": I_, "R": R}
    return str(solve(Eq(sympify(left, locals=names), sympify(right, locals=names)), R)[0])

#: [7, 3] -> "{(z + 3, 4 - 2*z, z)}"
from sympy import *

def parametric_solution(total, step):
    x, y, z = symbols("x y z")
    return str(linsolve([x + y + z - total, x - z - step], (x, y, z)))

#: [10] -> ["(-3, 9)", "(3, 9)"]
from sympy import *

def polynomial_system(bound):
    x, y = symbols("x y")
    found = nonlinsolve([x**2 - y, y - bound + 1], [x, y])
    return sorted(str(s) for s in found)

#: ["x**5 - x - 1"] -> [1, "1.16730397826"]
from sympy import *

def number_of_real_roots(text):
    x = symbols("x")
    return [int(Poly(sympify(text), x).count_roots()), str(real_roots(sympify(text))[0].evalf(12))]

#: ["sin(x)**2 + cos(x)**2"] -> "1"
from sympy import simplify, sympify

def simplified(text):
    return str(simplify(sympify(text)))

#: ["(x**2 - 1)/(x - 1)"] -> "x + 1"
from sympy import cancel, sympify

def cancelled(text):
    return str(cancel(sympify(text)))

#: ["sin(2*x) + sin(4*x)"] -> "-8*sin(x)**3*cos(x) + 6*sin(x)*cos(x)"
from sympy import expand_trig, sympify

def expanded_trigonometry(text):
    return str(expand_trig(sympify(text)))

#: ["sin(x)*cos(y) + cos(x)*sin(y)"] -> "sin(x + y)"
from sympy import trigsimp, sympify

def short_trigonometry(text):
    return str(trigsimp(sympify(text)))

#: ["x**3 - 3*x**2 + 3*x - 1"] -> "(x - 1)**3"
import sympy as sp

def factored(text):
    return str(sp.factor(sp.sympify(text)))

#: ["(x + 2*y)**4"] -> "x**4 + 8*x**3*y + 24*x**2*y**2 + 32*x*y**3 + 16*y**4"
import sympy as sp

def expanded(text):
    return str(sp.expand(sp.sympify(text)))

#: ["x*y + x - 3 + 2*x**2 - z*x**2 + x**3"] -> "x**3 + x**2*(2 - z) + x*(y + 1) - 3"
from sympy import collect, symbols, sympify

def collected(text):
    return str(collect(sympify(text), symbols("x")))

#: ["1/(x*(x + 1)*(x + 2))"] -> "1/(2*(x + 2)) - 1/(x + 1) + 1/(2*x)"
from sympy import apart, sympify

def partial_fractions(text):
    return str(apart(sympify(text)))

#: ["1/x + 1/y + 1/(x*y)"] -> "(x + y + 1)/(x*y)"
from sympy import together, sympify

def common_denominator(text):
    return str(together(sympify(text)))

#: ["sqrt(8) + sqrt(18)"] -> "5*sqrt(2)"
from sympy import sympify, simplify

def surds(text):
    return str(simplify(sympify(text)))

#: ["1/(sqrt(2) + sqrt(3))"] -> "-sqrt(2) + sqrt(3)"
from sympy import radsimp, sympify

def rationalised(text):
    return str(radsimp(sympify(text)))

#: ["log(x**2*y) - log(x)"] -> "log(x*y)"
from sympy import *

def logarithms(text):
    x, y = symbols("x y", positive=True)
    return str(logcombine(expand_log(sympify(text, locals={"x": x, "y": y}))))

#: ["x**a*x**b"] -> "x**(a + b)"
from sympy import *

def powers(text):
    return str(powsimp(sympify(text)))

#: ["sqrt(5 + 2*sqrt(6))"] -> "sqrt(2) + sqrt(3)"
from sympy import sqrtdenest, sympify

def denested(text):
    return str(sqrtdenest(sympify(text)))

#: ["gamma(n + 2)/gamma(n)"] -> "n*(n + 1)"
from sympy import gammasimp, sympify, factor

def gamma_ratio(text):
    return str(factor(gammasimp(sympify(text))))

#: ["factorial(n)/factorial(n - 3)"] -> "n*(n - 2)*(n - 1)"
from sympy import combsimp, sympify, factor

def factorial_ratio(text):
    return str(factor(combsimp(sympify(text))))

#: ["(x + y)**2", "x**2 + 2*x*y + y**2"] -> true
from sympy import simplify, sympify

def are_equal(first, second):
    return simplify(sympify(first) - sympify(second)) == 0

#: ["x**2 + 3*x + 5", {"x": 2}] -> 15
from sympy import sympify

def evaluated(text, values):
    return int(sympify(text).subs(values))

#: ["exp(I*pi/3)"] -> ["1/2", "sqrt(3)/2"]
from sympy import sympify, re, im

def real_and_imaginary(text):
    value = sympify(text)
    return [str(re(value)), str(im(value))]

#: ["(3 + 4*I)*(1 - 2*I)"] -> {"value": "11 - 2*I", "modulus": "5*sqrt(5)"}
from sympy import expand, sympify, Abs

def complex_product(text):
    value = expand(sympify(text))
    return {"value": str(value), "modulus": str(Abs(value))}

#: ["x**2*exp(x)"] -> "(x**2 - 2*x + 2)*exp(x)"
import sympy as sp

def antiderivative(text):
    return str(sp.integrate(sp.sympify(text), sp.Symbol("x")))

#: ["x**3", 0, 2] -> "4"
import sympy as sp

def definite_integral(text, low, high):
    return str(sp.integrate(sp.sympify(text), (sp.Symbol("x"), low, high)))

#: [] -> "sqrt(pi)"
from sympy import *

def gaussian_integral():
    x = symbols("x")
    return str(integrate(exp(-x**2), (x, -oo, oo)))

#: ["x*y", 1, 3] -> "9/4"
from sympy import *

def double_integral(text, a, b):
    x, y = symbols("x y")
    return str(integrate(sympify(text), (x, 0, a), (y, 0, b)))

#: ["log(x)"] -> "x*log(x) - x"
from sympy import *

def by_parts(text):
    x = symbols("x", positive=True)
    return str(integrate(sympify(text, locals={"x": x}), x))

#: ["1/(1 + x**2)"] -> "pi"
from sympy import *

def improper(text):
    x = symbols("x")
    return str(integrate(sympify(text), (x, -oo, oo)))

#: ["sin(x)", 0, "pi"] -> "2"
from sympy import *

def area_under(text, low, high):
    x = symbols("x")
    return str(integrate(sympify(text), (x, sympify(low), sympify(high))))

#: ["x**2", "2*x"] -> "4/3"
from sympy import *

def area_between(first, second):
    x = symbols("x")
    f, g = sympify(first), sympify(second)
    a, b = sorted(solve(f - g, x))
    return str(abs(integrate(f - g, (x, a, b))))

#: ["sqrt(x)", 0, 4] -> "8*pi"
from sympy import *

def solid_of_revolution(text, low, high):
    x = symbols("x")
    return str(pi * integrate(sympify(text)**2, (x, low, high)))

#: ["x**2/2", 0, 1] -> "log(1 + sqrt(2))/2 + sqrt(2)/2"
from sympy import *

def arc_length(text, low, high):
    x = symbols("x")
    return str(simplify(integrate(sqrt(1 + diff(sympify(text), x)**2), (x, low, high))))

#: ["x**3*sin(x)"] -> "x**3*cos(x) + 3*x**2*sin(x)"
import sympy as sp

def derivative(text):
    return str(sp.diff(sp.sympify(text), "x"))

#: ["x**5", 3] -> "60*x**2"
import sympy as sp

def nth_derivative(text, n):
    return str(sp.diff(sp.sympify(text), sp.Symbol("x"), n))

#: ["x**2*y + y**3"] -> ["2*x*y", "x**2 + 3*y**2"]
from sympy import *

def gradient(text):
    x, y = symbols("x y")
    return [str(diff(sympify(text), v)) for v in (x, y)]

#: ["x**2*y + y**3"] -> "-4*x**2 + 12*y**2"
from sympy import *

def hessian_determinant(text):
    x, y = symbols("x y")
    return str(hessian(sympify(text), (x, y)).det())

#: ["x**2 + x*y + y**2 - 7"] -> "-(2*x + y)/(x + 2*y)"
from sympy import *

def implicit_derivative(text):
    x, y = symbols("x y")
    return str(idiff(sympify(text), y, x))

#: ["x**3 - 3*x"] -> [["-1", "maximum"], ["1", "minimum"]]
from sympy import *

def critical_points(text):
    x = symbols("x")
    f = sympify(text)
    kinds = []
    for point in solve(diff(f, x), x):
        second = diff(f, x, 2).subs(x, point)
        kinds.append([str(point), "minimum" if second > 0 else "maximum" if second < 0 else "unclear"])
    return sorted(kinds)

#: ["x**3 + 2*x", 1] -> "5*x - 2"
from sympy import *

def tangent_line(text, at):
    x = symbols("x")
    f = sympify(text)
    return str(expand(f.subs(x, at) + diff(f, x).subs(x, at) * (x - at)))

#: ["r*cos(t)", "r*sin(t)"] -> "r"
from sympy import *

def jacobian_determinant(first, second):
    r, t = symbols("r t")
    return str(simplify(Matrix([sympify(first), sympify(second)]).jacobian([r, t]).det()))

#: ["x**2", "y*z", "x*z**2"] -> {"divergence": "2*x*z + 2*x + z", "curl": ["-y", "-z**2", "0"]}
from sympy import *

def divergence_and_curl(p, q, s):
    x, y, z = symbols("x y z")
    P, Q, R = (sympify(text) for text in (p, q, s))
    curl = [diff(R, y) - diff(Q, z), diff(P, z) - diff(R, x), diff(Q, x) - diff(P, y)]
    return {"divergence": str(diff(P, x) + diff(Q, y) + diff(R, z)), "curl": [str(c) for c in curl]}

#: ["x**2 - 4*x + 1", 0, 5] -> ["-3", "6"]
from sympy import *

def extremes_on(text, low, high):
    x = symbols("x")
    f = sympify(text)
    return [str(minimum(f, x, Interval(low, high))), str(maximum(f, x, Interval(low, high)))]

#: ["sin(x)/x", 0] -> "1"
from sympy import limit, sympify, Symbol

def limit_at(text, point):
    return str(limit(sympify(text), Symbol("x"), point))

#: ["(1 + 1/x)**x"] -> "E"
from sympy import limit, sympify, Symbol, oo

def limit_at_infinity(text):
    return str(limit(sympify(text), Symbol("x"), oo))

#: ["abs(x)/x"] -> ["-1", "1"]
from sympy import *

def one_sided(text):
    x = symbols("x", real=True)
    f = sympify(text, locals={"x": x})
    return [str(limit(f, x, 0, "-")), str(limit(f, x, 0, "+"))]

#: ["exp(x)", 5] -> "1 + x + x**2/2 + x**3/6 + x**4/24 + O(x**5)"
from sympy import series, sympify, Symbol

def taylor(text, order):
    return str(series(sympify(text), Symbol("x"), 0, order))

#: ["log(1 + x)", 4] -> ["0", "1", "-1/2", "1/3", "-1/4"]
from sympy import *

def taylor_coefficients(text, count):
    x = symbols("x")
    return [str(series(sympify(text), x, 0, count + 1).removeO().coeff(x, k)) for k in range(count + 1)]

#: ["1/(x**2*(1 - x))"] -> "x**(-2) + 1/x + 1 + x + x**2 + O(x**3)"
from sympy import *

def laurent(text):
    x = symbols("x")
    return str(series(sympify(text), x, 0, 3))

#: ["exp(z)/z**3"] -> "1/2"
from sympy import residue, sympify, Symbol

def residue_at_zero(text):
    return str(residue(sympify(text), Symbol("z"), 0))

#: [] -> "pi**2/6"
from sympy import *

def basel_sum():
    n = symbols("n", integer=True)
    return str(summation(1 / n**2, (n, 1, oo)))

#: ["k**3", "n"] -> "n**2*(n + 1)**2/4"
from sympy import *

def closed_sum(text, last):
    k, n = symbols("k n", integer=True, positive=True)
    return str(factor(summation(sympify(text, locals={"k": k}), (k, 1, n))))

#: [1, 2, 10] -> 1023
from sympy import *

def geometric_sum(first, ratio, count):
    k = symbols("k")
    return int(summation(first * ratio**k, (k, 0, count - 1)))

#: ["1/(k*(k + 1))"] -> "1"
from sympy import *

def telescoping(text):
    k = symbols("k", integer=True)
    return str(Sum(sympify(text, locals={"k": k}), (k, 1, oo)).doit())

#: [5] -> 945
from sympy import *

def product_of_odds(n):
    k = symbols("k", integer=True)
    return int(product(2 * k - 1, (k, 1, n)))

#: ["1/n**2"] -> true
from sympy import *

def converges(text):
    n = symbols("n", integer=True, positive=True)
    return bool(Sum(sympify(text, locals={"n": n}), (n, 1, oo)).is_convergent())

#: ["x", 3] -> "2*sin(x) - sin(2*x) + 2*sin(3*x)/3"
from sympy import *

def fourier_sine(text, terms):
    x = symbols("x")
    return str(fourier_series(sympify(text), (x, -pi, pi)).truncate(terms))

#: ["exp(-2*t)*sin(3*t)"] -> "3/((s + 2)**2 + 9)"
from sympy import *

def laplace_of(text):
    t, s = symbols("t s", positive=True)
    return str(laplace_transform(sympify(text, locals={"t": t}), t, s, noconds=True))

#: ["1/(s**2 + 4)"] -> "sin(2*t)/2"
from sympy import *

def inverse_laplace(text):
    s, t = symbols("s t", positive=True)
    return str(inverse_laplace_transform(sympify(text, locals={"s": s}), s, t))

#: [] -> "C1*sin(2*t) + C2*cos(2*t)"
from sympy import *

def harmonic_oscillator():
    t = symbols("t")
    y = Function("y")
    return str(dsolve(y(t).diff(t, 2) + 4 * y(t), y(t)).rhs)

#: [3] -> "3*exp(2*t)"
from sympy import *

def growth(initial):
    t = symbols("t")
    y = Function("y")
    return str(dsolve(y(t).diff(t) - 2 * y(t), y(t), ics={y(0): initial}).rhs)

#: [] -> "Eq(y(x), C1*exp(x**2/2))"
from sympy import *

def separable_equation():
    x = symbols("x")
    y = Function("y")
    return str(dsolve(Eq(y(x).diff(x), x * y(x)), y(x)))

#: [] -> "C1*exp(-x) + x - 1"
from sympy import *

def forced_linear_equation():
    x = symbols("x")
    y = Function("y")
    return str(dsolve(y(x).diff(x) + y(x) - x, y(x)).rhs)

#: [[[1, 2], [3, 4]]] -> -2
from sympy import Matrix

def determinant(rows):
    return int(Matrix(rows).det())

#: [[[2, 1], [5, 3]]] -> [["3", "-1"], ["-5", "2"]]
from sympy import Matrix

def inverse(rows):
    return [[str(v) for v in row] for row in Matrix(rows).inv().tolist()]

#: [[[2, 0], [0, 3]]] -> {"2": 1, "3": 1}
from sympy import Matrix

def eigenvalues(rows):
    return {str(value): count for value, count in Matrix(rows).eigenvals().items()}

#: [[[4, 1], [2, 3]]] -> [["2", 1, [["-1/2", "1"]]], ["5", 1, [["1", "1"]]]]
from sympy import Matrix

def eigenvectors(rows):
    found = Matrix(rows).eigenvects()
    return sorted([str(value), count, [[str(x) for x in v] for v in vectors]] for value, count, vectors in found)

#: [[[1, 2, 3], [4, 5, 6], [7, 8, 9]]] -> {"rank": 2, "nullspace": [[1, -2, 1]]}
from sympy import Matrix

def rank_and_nullspace(rows):
    m = Matrix(rows)
    return {"rank": m.rank(), "nullspace": [[int(x) for x in v] for v in m.nullspace()]}

#: [[[1, 2, -1], [2, 4, -2], [3, 1, 0]]] -> [[["1", "0", "1/5"], ["0", "1", "-3/5"], ["0", "0", "0"]], [0, 1]]
from sympy import Matrix

def reduced(rows):
    form, pivots = Matrix(rows).rref()
    return [[[str(x) for x in row] for row in form.tolist()], list(pivots)]

#: [[[2, 1], [1, 2]], 5] -> [[122, 121], [121, 122]]
from sympy import Matrix

def matrix_power(rows, n):
    return [[int(x) for x in row] for row in (Matrix(rows)**n).tolist()]

#: [[[5, 4], [1, 2]]] -> ["1", "6"]
from sympy import Matrix

def diagonal_form(rows):
    P, D = Matrix(rows).diagonalize()
    return sorted(str(D[i, i]) for i in range(D.rows))

#: [[[1, 1], [0, 1]]] -> "[[E, E], [0, E]]"
from sympy import Matrix, symbols, exp

def matrix_exponential(rows):
    return str(Matrix(rows).exp().tolist())

#: [[[1, 2], [3, 4]]] -> "x**2 - 5*x - 2"
from sympy import Matrix, symbols

def characteristic_polynomial(rows):
    x = symbols("x")
    return str(Matrix(rows).charpoly(x).as_expr())

#: [[[1, 1, 0], [1, 0, 1], [0, 1, 1]]] -> [["1", "1", "0"], ["1/2", "-1/2", "1"], ["-2/3", "2/3", "2/3"]]
from sympy import Matrix, GramSchmidt

def orthogonalised(rows):
    return [[str(x) for x in v] for v in GramSchmidt([Matrix(row) for row in rows])]

#: [[[4, 3], [6, 3]]] -> ["[[1, 0], [3/2, 1]]", "[[4, 3], [0, -3/2]]"]
from sympy import Matrix

def lu(rows):
    L, U, _ = Matrix(rows).LUdecomposition()
    return [str(L.tolist()), str(U.tolist())]

#: [[1, 2, 3], [4, 5, 6]] -> {"cross": [-3, 6, -3], "dot": 32}
from sympy import Matrix

def cross_and_dot(u, v):
    a, b = Matrix(u), Matrix(v)
    return {"cross": [int(x) for x in a.cross(b)], "dot": int(a.dot(b))}

#: [[[2, -1, 0], [-1, 2, -1], [0, -1, 2]]] -> true
from sympy import Matrix

def is_positive_definite(rows):
    return bool(Matrix(rows).is_positive_definite)

#: [[3, 4]] -> ["3/5", "4/5"]
from sympy import Matrix

def unit_vector(v):
    return [str(x) for x in Matrix(v).normalized()]

#: [[[1, "a"], ["a", 1]]] -> "-(a - 1)*(a + 1)"
from sympy import Matrix, sympify, factor

def symbolic_determinant(rows):
    return str(factor(Matrix([[sympify(x) for x in row] for row in rows]).det()))

#: [4] -> "1/6048000"
from sympy import Matrix, Rational

def hilbert_determinant(n):
    return str(Matrix(n, n, lambda i, j: Rational(1, i + j + 1)).det())

#: [[1, 2, 3]] -> 2
from sympy import Matrix

def vandermonde(values):
    n = len(values)
    return int(Matrix(n, n, lambda i, j: values[i]**j).det())

#: [360] -> {"2": 3, "3": 2, "5": 1}
from sympy import factorint

def prime_factors(n):
    return {str(p): e for p, e in factorint(n).items()}

#: [600851475143] -> 6857
from sympy import primefactors

def largest_prime_factor(n):
    return max(primefactors(n))

#: [97] -> true
from sympy import isprime

def prime(n):
    return isprime(n)

#: [100] -> [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97]
from sympy import primerange

def primes_below(n):
    return list(primerange(2, n))

#: [1000] -> 7919
from sympy import prime

def nth_prime(n):
    return int(prime(n))

#: [1000000] -> 78498
from sympy import primepi

def count_primes(n):
    return int(primepi(n))

#: [10000] -> [9973, 10007]
from sympy import nextprime, prevprime

def neighbours(n):
    return [prevprime(n), nextprime(n)]

#: [28] -> true
from sympy import divisors

def is_perfect(n):
    return sum(divisors(n)[:-1]) == n

#: [720] -> [30, 2418]
from sympy import divisor_count, divisor_sigma

def divisor_functions(n):
    return [int(divisor_count(n)), int(divisor_sigma(n))]

#: [36] -> 12
from sympy import totient

def phi(n):
    return int(totient(n))

#: [30] -> -1
from sympy.functions.combinatorial.numbers import mobius

def moebius(n):
    return int(mobius(n))

#: [17, 3120] -> 2753
from sympy import mod_inverse

def modular_inverse(a, m):
    return int(mod_inverse(a, m))

#: [[2, 3, 2], [3, 5, 7]] -> [23, 105]
from sympy.ntheory.modular import crt

def chinese_remainder(residues, moduli):
    value, modulus = crt(moduli, residues)
    return [int(value), int(modulus)]

#: [10, 7] -> 6
from sympy.ntheory import n_order

def multiplicative_order(a, n):
    return int(n_order(a, n))

#: [41] -> 6
from sympy.ntheory import primitive_root

def smallest_primitive_root(p):
    return int(primitive_root(p))

#: [5, 41] -> [true, [13, 28]]
from sympy.ntheory import is_quad_residue, sqrt_mod

def square_root_modulo(a, p):
    return [bool(is_quad_residue(a, p)), sorted(int(r) for r in sqrt_mod(a, p, all_roots=True))]

#: [3, 13, 17] -> 4
from sympy.ntheory import discrete_log

def logarithm_modulo(base, value, modulus):
    return int(discrete_log(modulus, value, base))

#: [2, 100, 1000007] -> 698635
from sympy import Mod, Integer

def power_modulo(a, e, m):
    return int(pow(Integer(a), e, m))

#: [240, 46] -> [-9, 47, 2]
from sympy import gcdex

def bezout(a, b):
    x, y, g = gcdex(a, b)
    return [int(x), int(y), int(g)]

#: [[12, 18, 30]] -> [6, 180]
from sympy import igcd, ilcm

def gcd_and_lcm(numbers):
    return [int(igcd(*numbers)), int(ilcm(*numbers))]

#: ["sqrt(2)", 6] -> [1, 2, 2, 2, 2, 2]
from sympy import continued_fraction_iterator, sympify
from itertools import islice

def continued_fraction(text, count):
    return [int(x) for x in islice(continued_fraction_iterator(sympify(text)), count)]

#: [19] -> [4, [2, 1, 3, 1, 2, 8]]
from sympy import continued_fraction_periodic

def periodic_fraction(n):
    first, *rest = continued_fraction_periodic(0, 1, n)
    return [int(first), [int(x) for x in rest[0]]]

#: [13] -> [649, 180]
from sympy.solvers.diophantine.diophantine import diop_DN

def pell(n):
    x, y = diop_DN(n, 1)[0]
    return [int(x), int(y)]

#: [3, 5, 22] -> [[4, 2]]
from sympy.solvers.diophantine import diophantine
from sympy import symbols

def positive_diophantine(a, b, c):
    x, y = symbols("x y", integer=True)
    found = set()
    for sx, sy in diophantine(a * x + b * y - c):
        (t,) = sx.free_symbols
        for k in range(-50, 51):
            p, q = int(sx.subs(t, k)), int(sy.subs(t, k))
            if p > 0 and q > 0:
                found.add((p, q))
    return sorted(list(pair) for pair in found)

#: [50] -> [[1, 7], [5, 5]]
from sympy.solvers.diophantine.diophantine import sum_of_squares

def as_two_squares(n):
    return sorted(sorted(int(x) for x in pair) for pair in sum_of_squares(n, 2, zeros=True))

#: [12] -> [3, 4]
from sympy.ntheory.factor_ import smoothness

def smooth(n):
    return [int(x) for x in smoothness(n)]

#: [220] -> 284
from sympy import divisors

def amicable_partner(n):
    partner = sum(divisors(n)) - n
    return partner if sum(divisors(partner)) - partner == n and partner != n else None

#: [2, 20] -> [2, 3, 5, 7, 13, 17, 19]
from sympy import mersenne_prime_exponent

def mersenne_exponents(first, last):
    return [k for k in range(first, last) if any(mersenne_prime_exponent(i) == k for i in range(1, 9))]

#: [7] -> "x**6 + x**5 + x**4 + x**3 + x**2 + x + 1"
from sympy import cyclotomic_poly, symbols

def cyclotomic(n):
    return str(cyclotomic_poly(n, symbols("x")))

#: [255, 16] -> [15, 15]
from sympy.ntheory import digits

def in_base(n, base):
    return [int(d) for d in digits(n, base)[1:]]

#: [100] -> [[3, 5], [5, 7], [11, 13], [17, 19], [29, 31], [41, 43], [59, 61], [71, 73]]
from sympy import primerange

def twin_primes(limit):
    primes = list(primerange(2, limit))
    return [[a, b] for a, b in zip(primes, primes[1:]) if b - a == 2]

#: [28] -> [[5, 23], [11, 17]]
from sympy import primerange, isprime

def goldbach(n):
    return [[p, n - p] for p in primerange(2, n // 2 + 1) if isprime(n - p)]

#: [10] -> [3628800, 184756]
from sympy import factorial, binomial

def central_binomial(n):
    return [int(factorial(n)), int(binomial(2 * n, n))]

#: [8] -> [1430, 4140, 21, 47]
from sympy import catalan, bell, fibonacci, lucas

def number_sequences(n):
    return [int(f(n)) for f in (catalan, bell, fibonacci, lucas)]

#: [10] -> ["5/66", "-50521", "7381/2520"]
from sympy import bernoulli, euler, harmonic

def named_numbers(n):
    return [str(bernoulli(n)), str(euler(n)), str(harmonic(n))]

#: [5, 3] -> [25, 35]
from sympy.functions.combinatorial.numbers import stirling

def stirling_numbers(n, k):
    return [int(stirling(n, k)), int(stirling(n, k, kind=1))]

#: [50] -> 204226
from sympy import partition

def partition_count(n):
    return int(partition(n))

#: [5] -> [[1, 1, 1, 1, 1], [1, 1, 1, 2], [1, 1, 3], [1, 2, 2], [1, 4], [2, 3], [5]]
from sympy.utilities.iterables import partitions

def all_partitions(n):
    return sorted(sorted(k for k, c in p.items() for _ in range(c)) for p in partitions(n))

#: [["a", "b", "c"]] -> ["abc", "acb", "bac", "bca", "cab", "cba"]
from sympy.utilities.iterables import multiset_permutations

def permutations_of(items):
    return ["".join(p) for p in multiset_permutations(items)]

#: ["MISSISSIPPI"] -> 34650
from sympy import factorial
from collections import Counter

def anagrams(word):
    total = factorial(len(word))
    for count in Counter(word).values():
        total //= factorial(count)
    return int(total)

#: [6] -> 265
from sympy import subfactorial

def derangements(n):
    return int(subfactorial(n))

#: [[1, 2, 0, 4, 3]] -> {"cycles": [[0, 1, 2], [3, 4]], "order": 6, "parity": 1}
from sympy.combinatorics import Permutation

def cycles_of(images):
    p = Permutation(images)
    return {"cycles": p.cyclic_form, "order": int(p.order()), "parity": int(p.parity())}

#: [5] -> [120, 60, false]
from sympy.combinatorics.named_groups import SymmetricGroup, AlternatingGroup

def group_orders(n):
    return [int(SymmetricGroup(n).order()), int(AlternatingGroup(n).order()), bool(AlternatingGroup(n).is_solvable)]

#: [4] -> [8, false, 5]
from sympy.combinatorics.named_groups import DihedralGroup

def dihedral(n):
    group = DihedralGroup(n)
    return [int(group.order()), bool(group.is_abelian), len(group.conjugacy_classes())]

#: [3] -> ["000", "001", "011", "010", "110", "111", "101", "100"]
from sympy.combinatorics.graycode import GrayCode

def gray_code(bits):
    return list(GrayCode(bits).generate_gray())

#: [["a", "b", "c"], 2] -> ["ab", "ac", "bc"]
from sympy.utilities.iterables import subsets

def choose(items, size):
    return ["".join(s) for s in subsets(items, size)]

#: [12] -> 14
from sympy.utilities.iterables import necklaces

def necklace_count(n):
    return len(list(necklaces(n // 2, 2)))

#: ["2x + 3(y - 1)"] -> "2*x + 3*y - 3"
from sympy.parsing.sympy_parser import parse_expr, standard_transformations, implicit_multiplication_application

def parsed(text):
    return str(parse_expr(text, transformations=standard_transformations + (implicit_multiplication_application,)))

#: ["2^3 + x^2"] -> "x**2 + 8"
from sympy.parsing.sympy_parser import parse_expr, standard_transformations, convert_xor

def caret_power(text):
    return str(parse_expr(text, transformations=standard_transformations + (convert_xor,)))

#: ["x + * 2"] -> false
from sympy import sympify, SympifyError

def is_valid(text):
    try:
        sympify(text)
        return True
    except SympifyError:
        return False

#: ["x**2 + sin(y)*z"] -> ["x", "y", "z"]
from sympy import sympify

def free_names(text):
    return sorted(str(s) for s in sympify(text).free_symbols)

#: ["0.125"] -> "1/8"
from sympy import nsimplify, Rational

def as_fraction(text):
    return str(Rational(text))

#: [1.4142135623730951] -> "sqrt(2)"
from sympy import nsimplify, sqrt

def recognised(value):
    return str(nsimplify(value, [sqrt(2)], tolerance=1e-10))

#: ["x**2/2 + sqrt(y)"] -> "\\frac{x^{2}}{2} + \\sqrt{y}"
from sympy import latex, sympify

def as_latex(text):
    return latex(sympify(text))

#: [[[1, 2], [3, 4]]] -> "\\left[\\begin{matrix}1 & 2\\\\3 & 4\\end{matrix}\\right]"
from sympy import latex, Matrix

def matrix_latex(rows):
    return latex(Matrix(rows))

#: ["x**2"] -> "\\int\\limits_{0}^{\\infty} x^{2}\\, dx"
from sympy import *

def integral_latex(text):
    x = symbols("x")
    return latex(Integral(sympify(text), (x, 0, oo)))

#: ["x**2 + 1/y"] -> " 2   1\nx  + -\n     y"
from sympy import pretty, sympify

def drawn(text):
    return pretty(sympify(text), use_unicode=False)

#: ["x**2 + sqrt(x)"] -> "math.sqrt(x) + x**2"
from sympy import pycode, sympify

def as_python(text):
    return pycode(sympify(text))

#: ["x**2 + sin(x)"] -> "pow(x, 2) + sin(x)"
from sympy import ccode, sympify

def as_c(text):
    return ccode(sympify(text))

#: ["x + 2*y"] -> "Add(Symbol('x'), Mul(Integer(2), Symbol('y')))"
from sympy import srepr, sympify

def representation(text):
    return srepr(sympify(text))

#: ["x**2 + 2*x", [0, 1, 2]] -> [0, 3, 8]
from sympy import lambdify, sympify, symbols

def table_of(text, values):
    f = lambdify(symbols("x"), sympify(text), "math")
    return [f(v) for v in values]

#: ["x**2 - 4 < 0"] -> "Interval.open(-2, 2)"
from sympy import *

def inequality(text):
    x = symbols("x", real=True)
    return str(solve_univariate_inequality(sympify(text, locals={"x": x}), x, relational=False))

#: ["(x - 1)/(x + 2) >= 0"] -> "Union(Interval.open(-oo, -2), Interval(1, oo))"
from sympy import *

def rational_inequality(text):
    x = symbols("x", real=True)
    return str(solveset(sympify(text, locals={"x": x}), x, S.Reals))

#: ["x > 1", "x <= 5"] -> "(x <= 5) & (1 < x)"
from sympy import *

def both(first, second):
    x = symbols("x", real=True)
    return str(reduce_inequalities([sympify(t, locals={"x": x}) for t in (first, second)], x))

#: [0, 5, 3, 8] -> ["Interval(3, 5)", "Interval(0, 8)", "Interval.Ropen(0, 3)"]
from sympy import Interval

def interval_algebra(a, b, c, d):
    first, second = Interval(a, b), Interval(c, d)
    return [str(first & second), str(first | second), str(first - second)]

#: [[1, 2, 3], [2, 3, 4]] -> ["{1, 2, 3, 4}", "{2, 3}", "{1}", 9]
from sympy import FiniteSet

def set_algebra(a, b):
    first, second = FiniteSet(*a), FiniteSet(*b)
    return [str(first | second), str(first & second), str(first - second), len((first * second))]

#: ["(p >> q) & p"] -> "p & q"
from sympy import sympify, to_cnf, satisfiable

def conjunctive(text):
    return str(to_cnf(sympify(text), simplify=True))

#: ["a | ~a", "a & ~a"] -> [true, true]
from sympy import sympify, satisfiable, Not

def tautology_and_contradiction(first, second):
    return [satisfiable(Not(sympify(first))) is False, satisfiable(sympify(second)) is False]

#: [[[0, 0, 1], [0, 1, 0], [1, 1, 1]]] -> "(x & y & z) | (y & ~x & ~z) | (z & ~x & ~y)"
from sympy.logic import SOPform
from sympy import symbols

def minimal_form(minterms):
    return str(SOPform(symbols("x y z"), minterms))

#: [[0, 0], [3, 0], [3, 4]] -> {"area": "6", "perimeter": "12", "right": true}
from sympy import Point, Triangle

def triangle_facts(a, b, c):
    t = Triangle(Point(*a), Point(*b), Point(*c))
    return {"area": str(abs(t.area)), "perimeter": str(t.perimeter), "right": t.is_right()}

#: [[0, 0], [4, 0], [1, 3]] -> ["Point2D(5/3, 1)", "Point2D(2, 1)", "Point2D(1, 1)"]
from sympy import Point, Triangle

def triangle_centres(a, b, c):
    t = Triangle(Point(*a), Point(*b), Point(*c))
    return [str(t.centroid), str(t.circumcenter), str(t.orthocenter)]

#: [[0, 0], 5, [-5, 5], [5, -5]] -> ["Point2D(-5*sqrt(2)/2, 5*sqrt(2)/2)", "Point2D(5*sqrt(2)/2, -5*sqrt(2)/2)"]
from sympy import Circle, Line, Point

def circle_and_line(centre, radius, first, second):
    found = Circle(Point(*centre), radius).intersection(Line(Point(*first), Point(*second)))
    return sorted(str(p) for p in found)

#: [[1, 2], [3, 4], [0, 5]] -> "2*sqrt(2)"
from sympy import Line, Point

def distance_to_line(a, b, p):
    return str(Line(Point(*a), Point(*b)).distance(Point(*p)))

#: [[0, 0], [2, 2], [0, 2], [2, 0]] -> ["1", "1"]
from sympy import Line, Point

def crossing(a, b, c, d):
    (point,) = Line(Point(*a), Point(*b)).intersection(Line(Point(*c), Point(*d)))
    return [str(point.x), str(point.y)]

#: [[[0, 0], [4, 0], [4, 3], [0, 3]]] -> ["12", "14", true]
from sympy import Polygon

def polygon_area(points):
    p = Polygon(*points)
    return [str(abs(p.area)), str(p.perimeter), bool(p.is_convex())]

#: [[0, 0], [1, 1], [2, 2]] -> true
from sympy import Point

def collinear(a, b, c):
    return bool(Point.is_collinear(Point(*a), Point(*b), Point(*c)))

#: [5, 3] -> ["15*pi", "4/5", ["Point2D(-4, 0)", "Point2D(4, 0)"]]
from sympy import Ellipse, Point

def ellipse_facts(a, b):
    e = Ellipse(Point(0, 0), a, b)
    return [str(e.area), str(e.eccentricity), sorted(str(f) for f in e.foci)]

#: [[1, 1, 1], [2, 3, 4], [0, 1, 5]] -> "8*x - 7*y + 2*z - 3"
from sympy import Plane, Point3D

def plane_through(a, b, c):
    return str(Plane(Point3D(*a), Point3D(*b), Point3D(*c)).equation())

#: [[0, 0], [1, 0], [0, 1], [1, 1], [2, 2]] -> ["Point2D(0, 0)", "Point2D(0, 1)", "Point2D(1, 0)", "Point2D(2, 2)"]
from sympy import convex_hull, Point

def hull(*points):
    return sorted(str(p) for p in convex_hull(*[Point(*p) for p in points]).vertices)

#: [6] -> "3*sqrt(3)/2"
from sympy import RegularPolygon, Point, simplify

def regular_polygon_area(sides):
    return str(simplify(RegularPolygon(Point(0, 0), 1, sides).area))

#: ["x**4 - 1", "x**2 - 1"] -> ["x**2 - 1", "x**4 - 1"]
from sympy import gcd, lcm, sympify

def polynomial_gcd_and_lcm(a, b):
    return [str(gcd(sympify(a), sympify(b))), str(lcm(sympify(a), sympify(b)))]

#: ["x**3 - 2*x + 5", "x - 3"] -> ["x**2 + 3*x + 7", "26"]
from sympy import div, sympify, symbols

def long_division(a, b):
    q, r = div(sympify(a), sympify(b), symbols("x"))
    return [str(q), str(r)]

#: ["3*x**4 - 2*x + 7"] -> {"degree": 4, "coefficients": [3, 0, 0, -2, 7], "leading": 3}
from sympy import Poly, sympify, symbols

def polynomial_facts(text):
    p = Poly(sympify(text), symbols("x"))
    return {"degree": int(p.degree()), "coefficients": [int(c) for c in p.all_coeffs()], "leading": int(p.LC())}

#: ["x**2 + b*x + c"] -> "b**2 - 4*c"
from sympy import discriminant, sympify, symbols

def discriminant_of(text):
    return str(discriminant(sympify(text), symbols("x")))

#: ["x**2 - 2", "x**2 - 3*x + 1"] -> "-9"
from sympy import resultant, sympify, symbols

def resultant_of(a, b):
    return str(resultant(sympify(a), sympify(b), symbols("x")))

#: ["x**2 + y**2 - 1", "x - y"] -> ["x - y", "2*y**2 - 1"]
from sympy import groebner, sympify, symbols

def groebner_basis(a, b):
    x, y = symbols("x y")
    return [str(g) for g in groebner([sympify(a), sympify(b)], x, y, order="lex").exprs]

#: ["x**4 + 4"] -> ["(x**2 - 2*x + 2)*(x**2 + 2*x + 2)", false]
from sympy import factor, sympify, Poly

def irreducible(text):
    return [str(factor(sympify(text))), bool(Poly(sympify(text)).is_irreducible)]

#: ["x**3 + x + 1", 2] -> [["x**3 + x + 1", 1]]
from sympy import factor_list, sympify, symbols

def factors_modulo(text, p):
    _, factors = factor_list(sympify(text), symbols("x"), modulus=p)
    return [[str(f), e] for f, e in factors]

#: [[[0, 1], [1, 3], [2, 7]]] -> "x**2 + x + 1"
from sympy import interpolate, symbols

def interpolated(points):
    x = symbols("x")
    return str(interpolate([tuple(p) for p in points], x))

#: [4] -> ["35*x**4/8 - 15*x**2/4 + 3/8", "8*x**4 - 8*x**2 + 1", "16*x**4 - 48*x**2 + 12", "x**4/24 - 2*x**3/3 + 3*x**2 - 4*x + 1"]
from sympy import legendre, chebyshevt, hermite, laguerre, symbols

def orthogonal_polynomials(n):
    x = symbols("x")
    return [str(f(n, x)) for f in (legendre, chebyshevt, hermite, laguerre)]

#: ["sqrt(2) + sqrt(3)"] -> "x**4 - 10*x**2 + 1"
from sympy import minimal_polynomial, sympify, symbols

def minimal(text):
    return str(minimal_polynomial(sympify(text), symbols("x")))

#: ["x**2 + x*y + y**2"] -> ["-x*y + (x + y)**2", "0"]
from sympy import *
from sympy.polys.polyfuncs import symmetrize

def symmetric(text):
    x, y = symbols("x y")
    return [str(part) for part in symmetrize(sympify(text), [x, y])]

#: [50] -> "3.1415926535897932384626433832795028841971693993751"
from sympy import pi, N

def digits_of_pi(count):
    return str(N(pi, count))

#: ["E**pi - pi", 30] -> "19.9990999791894757672664429847"
from sympy import sympify

def precisely(text, digits):
    return str(sympify(text).evalf(digits))

#: [100] -> 648
from sympy import factorial

def digit_sum_of_factorial(n):
    return sum(int(d) for d in str(factorial(n)))

#: ["1/3", "1/6"] -> "1/2"
from sympy import Rational

def add_fractions(a, b):
    return str(Rational(a) + Rational(b))

#: [2, 3] -> "sqrt(13)"
from sympy import Rational, sqrt

def distance_exact(a, b):
    return str(sqrt(Rational(a)**2 + Rational(b)**2))

#: ["5"] -> ["24", "pi**4/90", "1/12"]
from sympy import gamma, zeta, beta, sympify

def special_values(text):
    n = sympify(text)
    return [str(gamma(n)), str(zeta(n - 1)), str(beta(2, 3).doit().rewrite(gamma).simplify())]

#: [1] -> ["0.842700792950", "0.765197686558"]
from sympy import erf, besselj, N

def special_numbers(x):
    return [str(N(erf(x), 12)), str(N(besselj(0, x), 12))]

#: [10, "1/2", 4] -> "105/512"
from sympy import binomial, Rational

def binomial_probability(n, p, k):
    p = Rational(p)
    return str(binomial(n, k) * p**k * (1 - p)**(n - k))

#: [2] -> ["7", "35/6", "1/6"]
from sympy.stats import Die, E, P, variance, density

def dice(count):
    roll = sum(Die(f"d{k}", 6) for k in range(count))
    return [str(E(roll)), str(variance(roll)), str(P(roll > 9))]

#: ["2", "3"] -> ["2", "9", "1/2"]
from sympy.stats import Normal, E, variance, P
from sympy import sympify, simplify

def normal_facts(mean, deviation):
    X = Normal("X", sympify(mean), sympify(deviation))
    return [str(E(X)), str(variance(X)), str(simplify(P(X > sympify(mean))))]

#: [3] -> "1/3"
from sympy.stats import Exponential, E, median
from sympy import symbols

def exponential_mean(rate):
    return str(E(Exponential("X", rate)))

#: [4, 2] -> "3/8"
from sympy import Rational
from sympy.stats import Binomial, density

def binomial_density(n, k):
    return str(density(Binomial("X", n, Rational(1, 2))).dict[k])

#: [1000, "0.05", 10] -> "1628.8946"
from sympy import Rational, N

def compound_interest(principal, rate, years):
    return str(N(principal * (1 + Rational(rate))**years, 8))

#: [90] -> ["1/2", "sqrt(3)/2", "sqrt(3)/3"]
from sympy import pi, sin, cos, tan, Rational

def exact_trigonometry(degrees):
    angle = Rational(degrees, 180) * pi / 3
    return [str(sin(angle)), str(cos(angle)), str(tan(angle))]

#: [20, 10] -> ["pi/4", "40"]
from sympy import *

def projectile_range(speed, gravity):
    a = symbols("a", positive=True)
    distance = speed**2 * sin(2 * a) / gravity
    best = [s for s in solve(diff(distance, a), a) if s < pi / 2][0]
    return [str(best), str(distance.subs(a, best))]

#: [100] -> {"width": "25", "area": "625"}
from sympy import *

def largest_rectangle(perimeter):
    w = symbols("w", positive=True)
    area = w * (Rational(perimeter, 2) - w)
    best = solve(diff(area, w), w)[0]
    return {"width": str(best), "area": str(area.subs(w, best))}

#: [1, 1] -> ["-2", "2"]
from sympy import *

def lagrange_multiplier(a, b):
    x, y, l = symbols("x y l", real=True)
    f, g = a * x + b * y, x**2 + y**2 - 2
    found = solve([diff(f - l * g, v) for v in (x, y, l)], [x, y, l], dict=True)
    return sorted(str(f.subs(s)) for s in found)

#: [5, "km", "m"] -> "5000*meter"
from sympy.physics import units

def converted(value, source, target):
    names = {"km": units.kilometer, "m": units.meter, "h": units.hour}
    return str(units.convert_to(value * names[source], names[target]))

#: ["x", 3] -> [9, 2, 13]
from sympy import Piecewise, symbols, sympify

def piecewise_value(name, at):
    x = symbols(name)
    f = Piecewise((x**2, x < 0), (2 * x, x < 2), (x + 10, True))
    return [int(f.subs(x, v)) for v in (-at, at - 2, at)]

#: ["x**2 + 3*x + 1"] -> {"nodes": 8, "operations": 4}
from sympy import sympify, preorder_traversal, count_ops

def tree_facts(text):
    e = sympify(text)
    return {"nodes": len(list(preorder_traversal(e))), "operations": int(count_ops(e))}

#: ["x*sin(x) + x*cos(x)"] -> [["x0 = x*sin(x) + x*cos(x)"], "x0**2 + x0"]
from sympy import sympify, cse

def shared_parts(text):
    parts, (rest,) = cse(sympify(text) ** 2 + sympify(text))
    return [[f"{k} = {v}" for k, v in parts], str(rest)]

#: ["f(x) = x^2 + 2x"] -> "2*x + 2"
import re
from sympy import sympify, diff, symbols

def derivative_from_words(text):
    body = text.split("=", 1)[1].strip().replace("^", "**")
    body = re.sub(r"(\d)([a-z])", r"\1*\2", body)
    return str(diff(sympify(body), symbols("x")))

#: [3] -> {"a_": "5", "b_": "3"}
from sympy import Symbol, Wild

def matched(power):
    x, a, b = Symbol("x"), Wild("a"), Wild("b")
    found = (5 * x**power).match(a * x**b)
    return {str(k): str(v) for k, v in sorted(found.items(), key=lambda pair: str(pair[0]))}

#: ["x**2 + x**4"] -> "u**2 + u"
from sympy import sympify, symbols

def substituted_power(text):
    x, u = symbols("x u")
    return str(sympify(text).subs(x**2, u))

#: [1, 0] -> ["zoo", "1"]
from sympy import symbols

def division_by_zero(a, b):
    x = symbols("x")
    return [str((a / x).subs(x, b)), str((x / x).subs(x, b))]

#: [2024] -> {"0": 1, "4": 1, "5": 1, "6": 2, "7": 1, "9": 1}
from sympy.utilities.iterables import multiset
from sympy import Integer

def digits_used(n):
    return {k: v for k, v in sorted(multiset(str(Integer(n)**2)).items())}

#: ["A", "B"] -> ["B.T*A.T", "A", "(2, 2)"]
from sympy import MatrixSymbol, Identity

def matrix_identity(first, second):
    A, B = MatrixSymbol(first, 2, 2), MatrixSymbol(second, 2, 2)
    return [str((A * B).T), str(A * Identity(2)), str((A * B).shape)]

#: [6] -> [1, 6, 15, 20, 15, 6, 1]
from sympy import symbols, expand

def binomial_row(n):
    x = symbols("x")
    return [int(expand((1 + x)**n).coeff(x, k)) for k in range(n + 1)]

#: [1, 1, 2, 10] -> 4
from sympy import symbols, apart, series

def generating_function(a, b, c, n):
    x = symbols("x")
    s = series(1 / ((1 - x) * (1 - x**5) * (1 - x**10)), x, 0, n + 1).removeO()
    return int(s.coeff(x, n))

#: [12] -> "86021/27720"
from sympy import Rational

def harmonic_terms(n):
    return str(sum(Rational(1, k) for k in range(1, n + 1)))
