#!/usr/bin/env python3
"""Makes the task set of the quickstart: tasks/{train,validation,test}.jsonl.

    python3 make_tasks.py            writes the three files
    python3 make_tasks.py --check    says whether the three files are exactly what this script makes

Nothing here is random: every parameter stands in a table below. Every target is computed twice, by two algorithms
that share no code, and the script stops when they disagree. It needs Python 3.11 or newer and nothing else.
"""

import collections
import datetime
import decimal
import fractions
import json
import math
import pathlib
import re
import sys

TASKS = pathlib.Path(__file__).resolve().parent / "tasks"
SPLITS = ("train", "validation", "test")


# Calendar: working days between two dates ------------------------------------------------------------------------

CALENDAR_STORIES = {
    "office": "How many working days (Monday to Friday) are there from {first} to {last}, both days included{but}?",
    "clinic": "A clinic opens Monday to Friday. It publishes its plan for the period from {first} to {last}, both "
    "days included{but}. On how many days is it open?",
    "translator": "Ines translates a novel, Monday to Friday. She works from {first} to {last}, both days "
    "included{but}. How many days does she spend on it?",
    "ferry": "A ferry carries commuters on weekdays only. Its season ticket is valid from {first} to {last}, both "
    "days included{but}. On how many days can the ticket be used?",
    "payroll": "Payroll pays one meal voucher for each weekday (Monday to Friday) from {first} to {last}, both days "
    "included{but}. How many vouchers does an employee get?",
}

CALENDAR = {
    "train": [
        ("office", "2027-03-01", "2027-03-31"),
        ("payroll", "2026-09-01", "2026-09-30"),
        ("clinic", "2028-02-01", "2028-02-29"),
        ("translator", "2026-01-12", "2026-06-19"),
        ("ferry", "2025-11-03", "2026-02-27"),
        ("office", "2027-04-19", "2027-07-02", "2027-05-01", "2027-05-06", "2027-05-17"),
        ("clinic", "2026-12-01", "2027-01-15", "2026-12-25", "2026-12-26", "2027-01-01"),
        ("payroll", "2028-10-02", "2028-12-22", "2028-11-01"),
    ],
    "validation": [
        ("payroll", "2027-05-01", "2027-05-31"),
        ("office", "2027-01-01", "2027-12-31"),
        ("clinic", "2026-06-01", "2026-06-30"),
        ("ferry", "2026-04-01", "2026-06-30", "2026-04-25", "2026-05-01", "2026-06-02"),
        ("translator", "2027-09-06", "2027-12-17", "2027-10-03", "2027-11-01"),
        ("clinic", "2028-03-20", "2028-05-12", "2028-04-14", "2028-04-17"),
    ],
    "test": [
        ("payroll", "2028-06-01", "2028-06-30"),
        ("ferry", "2026-10-01", "2026-10-31"),
        ("office", "2028-01-01", "2028-12-31"),
        ("translator", "2027-02-08", "2027-08-20"),
        ("clinic", "2025-12-15", "2026-01-30", "2025-12-25", "2025-12-26", "2026-01-01"),
        ("payroll", "2026-08-03", "2026-11-13", "2026-08-15", "2026-10-03"),
        ("office", "2027-06-07", "2027-09-24", "2027-07-14", "2027-08-15"),
        ("ferry", "2028-04-03", "2028-06-16", "2028-04-14", "2028-05-06", "2028-05-25"),
    ],
}


def calendar_question(story, first, last, *holidays):
    but = f", except {listed(holidays)}" if holidays else ""
    return CALENDAR_STORIES[story].format(first=first, last=last, but=but)


def calendar_by_walking(_story, first, last, *holidays):
    day, end = datetime.date.fromisoformat(first), datetime.date.fromisoformat(last)
    off = {datetime.date.fromisoformat(holiday) for holiday in holidays}
    count = 0
    while day <= end:
        count += day.weekday() < 5 and day not in off
        day += datetime.timedelta(days=1)
    return str(count)


def calendar_by_weeks(_story, first, last, *holidays):
    """Whole weeks and a remainder, on day numbers of our own (no `datetime`)."""

    def day_number(text):
        year, month, day = map(int, text.split("-"))
        years = year - (month < 3)
        leaps = years // 4 - years // 100 + years // 400
        return 365 * years + leaps + (153 * ((month + 9) % 12) + 2) // 5 + day - 1

    def is_weekend(number):
        return (number + 2) % 7 > 4  # day 0 of this count, 1 March of year 0, was a Wednesday

    start, end = day_number(first), day_number(last)
    weeks, rest = divmod(end - start + 1, 7)
    weekdays = 5 * weeks + sum(not is_weekend(end - back) for back in range(rest))
    off = {day_number(holiday) for holiday in holidays}
    return str(weekdays - sum(start <= number <= end and not is_weekend(number) for number in off))


# Ledger: savings with interest rounded every month ----------------------------------------------------------------

LEDGER_RULE = (
    "At the end of every month one twelfth of the yearly interest on the balance is credited, rounded to the cent "
    "(exactly half a cent goes to the even cent)"
)

LEDGER_STORIES = {
    "account": "A savings account opens with {opening} euros and earns {percent} % a year. {rule}{then}. What is the "
    "balance in euros after {months} months?",
    "school": "A school class opens with {opening} euros in a fund that earns {percent} % a year. {rule}{then}. How "
    "many euros are in the fund after {months} months?",
    "choir": "The choir's travel money opens with {opening} euros and earns {percent} % a year. {rule}{then}. What "
    "does the statement show in euros after {months} months?",
    "bicycle": "Saving for a bicycle, Noor opens with {opening} euros at {percent} % a year. {rule}{then}. How many "
    "euros does she have after {months} months?",
}

LEDGER = {
    "train": [
        ("account", "1250.00", "3.6", 18),
        ("choir", "1001.00", "6", 14),
        ("bicycle", "180.00", "2.4", 15, "35.00"),
        ("school", "412.50", "1.75", 24, "20.00"),
        ("account", "9800.00", "4.15", 30),
        ("choir", "73.20", "5.25", 36),
        ("bicycle", "260.40", "3", 20, "42.50"),
        ("school", "2310.75", "2.85", 27),
    ],
    "validation": [
        ("school", "505.00", "6", 16),
        ("account", "3141.59", "2.7", 22),
        ("bicycle", "95.00", "4.2", 17, "27.50"),
        ("choir", "1777.00", "3.3", 33, "15.00"),
        ("account", "12400.00", "1.95", 40),
        ("school", "640.80", "4.8", 19),
    ],
    "test": [
        ("account", "2024.00", "3.9", 21),
        ("bicycle", "120.00", "3.5", 18, "30.00"),
        ("school", "703.00", "6", 13),
        ("choir", "888.88", "2.25", 26, "12.50"),
        ("account", "15750.00", "4.4", 35),
        ("choir", "54.30", "7.2", 48),
        ("school", "1499.99", "1.2", 28, "5.00"),
        ("bicycle", "333.00", "5.4", 23, "18.75"),
    ],
}


def ledger_question(story, opening, percent, months, deposit=None):
    then = f", and then the owner pays in {deposit} euros" if deposit else ""
    return LEDGER_STORIES[story].format(
        opening=opening, percent=percent, months=months, rule=LEDGER_RULE, then=then
    )


def ledger_by_decimals(_story, opening, percent, months, deposit="0.00"):
    cent = decimal.Decimal("0.01")
    with decimal.localcontext(decimal.Context(prec=60)):
        balance = decimal.Decimal(opening)
        for _ in range(months):
            interest = balance * decimal.Decimal(percent) / 1200
            balance += interest.quantize(cent, decimal.ROUND_HALF_EVEN) + decimal.Decimal(deposit)
    return str(balance)


def ledger_by_whole_cents(_story, opening, percent, months, deposit="0.00"):
    """Whole cents and exact fractions (no `decimal`)."""
    cents, paid_in = (int(amount.replace(".", "")) for amount in (opening, deposit))
    rate = fractions.Fraction(percent) / 1200
    for _ in range(months):
        exact = cents * rate
        interest, rest = divmod(exact.numerator, exact.denominator)
        if 2 * rest > exact.denominator or (2 * rest == exact.denominator and interest % 2 == 1):
            interest += 1
        cents += interest + paid_in
    return f"{cents // 100}.{cents % 100:02}"


# Number theory: sums of totients, and primes by their index --------------------------------------------------------

NUMBER_STORIES = {
    "totients": "What is the sum of Euler's totient phi(k) over all whole numbers k from {first} to {last}, both "
    "included?",
    "pairs": "How many pairs of whole numbers (a, b) with 1 <= a <= b <= {last} have no common divisor greater "
    "than 1?",
    "remainder": "The primes in ascending order are 2, 3, 5, 7, and so on, so that 2 is the 1st prime. What is the "
    "remainder when the {index} prime is divided by {modulus}?",
    "digit": "The primes in ascending order are 2, 3, 5, 7, and so on, so that 2 is the 1st prime. What is the last "
    "decimal digit of the {index} prime?",
}

NUMBER = {
    "train": [
        ("totients", 40, 90),
        ("totients", 101, 150),
        ("pairs", 60),
        ("pairs", 125),
        ("remainder", 500, 97),
        ("remainder", 1201, 360),
        ("digit", 777),
        ("digit", 1414),
    ],
    "validation": [
        ("totients", 77, 133),
        ("pairs", 84),
        ("pairs", 150),
        ("remainder", 642, 89),
        ("digit", 1111),
        ("digit", 900),
    ],
    "test": [
        ("totients", 25, 99),
        ("totients", 200, 240),
        ("pairs", 72),
        ("pairs", 210),
        ("remainder", 823, 61),
        ("remainder", 1444, 1000),
        ("digit", 1234),
        ("digit", 314),
    ],
}


def number_question(story, *parameters):
    if story in ("totients", "pairs"):
        first, last = parameters if story == "totients" else (1, *parameters)
        return NUMBER_STORIES[story].format(first=first, last=last)
    return NUMBER_STORIES[story].format(
        index=ordinal(parameters[0]), modulus=parameters[1] if story == "remainder" else 10
    )


def number_by_sieve(story, *parameters):
    if story in ("totients", "pairs"):
        first, last = parameters if story == "totients" else (1, *parameters)
        totient = list(range(last + 1))
        for prime in range(2, last + 1):
            if totient[prime] == prime:
                for multiple in range(prime, last + 1, prime):
                    totient[multiple] -= totient[multiple] // prime
        return str(sum(totient[first:]))
    limit = 20000
    is_composite = bytearray(limit)
    for factor in range(2, math.isqrt(limit) + 1):
        is_composite[factor * factor :: factor] = b"\1" * len(range(factor * factor, limit, factor))
    primes = [number for number in range(2, limit) if not is_composite[number]]
    return str(primes[parameters[0] - 1] % (parameters[1] if story == "remainder" else 10))


def number_by_definition(story, *parameters):
    """Greatest common divisors one by one, and trial division (no sieve)."""
    if story in ("totients", "pairs"):
        first, last = parameters if story == "totients" else (1, *parameters)
        return str(sum(math.gcd(k, other) == 1 for k in range(first, last + 1) for other in range(1, k + 1)))
    found, number = 0, 1
    while found < parameters[0]:
        number += 1
        found += all(number % divisor for divisor in range(2, math.isqrt(number) + 1))
    return str(number % parameters[1]) if story == "remainder" else str(number)[-1]


# Text: counting words and letters ---------------------------------------------------------------------------------

TEXT_STORIES = {
    "different": "How many different words are there in the text below? A word is an unbroken run of letters; "
    "capital and small letters count as the same.",
    "vowels": "How many vowels (a, e, i, o, u; capital or small) are there in the text below?",
    "longest": "Which is the longest word in the text below? If several are equally long, the first of them counts. "
    "Write it in small letters.",
    "frequent": "Which letter occurs most often in the text below? Capital and small letters count as the same; if "
    "several occur equally often, the one that comes first in the alphabet counts. Write it as a small letter.",
}

TEXT = {
    "train": [
        ("different", "The baker counted the loaves, the boy counted the coins, and the cat counted on nobody. When "
         "the loaves were gone, the coins were counted again, and the cat was still counting on nobody."),
        ("different", "Rain on the roof, rain on the road, rain in the boots by the door. By noon the road was a "
         "river, the roof was a drum, and the boots were two small boats by the door."),
        ("vowels", "Our neighbour keeps eleven geese and one opinion about each of them. The oldest goose, she says, "
         "could run the council; the youngest could not run a bath."),
        ("vowels", "Somewhere under the station there is a clock that nobody winds. It has been ten past four since "
         "the engineers went home, and the pigeons have arranged their lives around it."),
        ("longest", "The committee met on Thursday to discuss the lighthouse. After an unremarkable hour it agreed "
         "that the light was good, the house was old, and the biscuits needed replacing."),
        ("longest", "We packed cheese, bread, plums and string. String is never eaten on a picnic, but a picnic "
         "without string has no defence against kites, dogs, or loose tents."),
        ("frequent", "Every evening the keeper feeds seven herons beside the green weir, then sweeps the deck, "
         "greets the ferry, and reads until the embers are grey."),
        ("frequent", "Anna sat at a small table and had a salad, a banana, and a glass of tap water. As always, "
         "Canada was on a radio that had a bad aerial and a sad saxophone."),
    ],
    "validation": [
        ("different", "A map of the island hangs in the hall, and a map of the hall hangs on the island, in the one "
         "inn that has a wall. Visitors to the hall ask about the inn, and visitors to the inn ask about the wall."),
        ("vowels", "Before breakfast the twins had repaired the radio, painted the dog, and written a letter of "
         "apology to the dog. Their aunt suggested that tomorrow they should begin with the letter."),
        ("longest", "The orchestra rehearsed in a greenhouse. Tomatoes, the conductor explained, are an appreciative "
         "audience: they never cough, they lean towards the brass, and they blush at the end."),
        ("longest", "Old tram lines cross the market square, although no tram has used them since spring. Children "
         "walk along the rails with wide arms, ringing bells that only they can hear."),
        ("frequent", "The letter three doors down never came. Then, between seven and eleven, there were five "
         "letters, each sealed with green wax, and none of them were meant for her."),
        ("frequent", "It is said in this district that fish in still millponds will listen if a child whistles in "
         "them; it is a fib, but this child still sits whistling in his tin skiff."),
    ],
    "test": [
        ("different", "If you feed the fire, the fire feeds the kettle, the kettle feeds the teapot, and the teapot "
         "feeds whoever fed the fire. Whoever forgets the fire gets cold tea, and whoever forgets the tea gets the "
         "fire to himself."),
        ("different", "Left at the mill, right at the church, left again at the second mill. If you see a third "
         "mill, you went right at the first mill, and the church you saw was a barn."),
        ("vowels", "The museum of unfinished things opens at about nine. Its first room holds half a canoe, a sonnet "
         "of eleven lines, and a staircase that ends in an excellent view of the ceiling."),
        ("vowels", "My uncle mends umbrellas in a town where it seldom rains. Business is quiet, he admits, but every "
         "customer is sincerely grateful, and most of them stay for soup."),
        ("longest", "Nobody remembers who planted the chestnut at the crossroads. The carters blamed the post "
         "office, the post office blamed an archaeologist, and the squirrels kept diplomatically silent."),
        ("longest", "Two frogs share the well behind our barn. One sings in the morning, one sings at night, and "
         "around noon you can hear both of them pretending to be asleep."),
        ("frequent", "Seven elephants were seen near the cheese shed. The shed keeper, when questioned, denied the "
         "elephants, then the cheese, then the shed, and left before the end of the sentence."),
        ("frequent", "Tonight at eight the tattered tent at the top of the street hosts its last act: a tight rope, "
         "a stout goat, and a trumpet that tells the truth."),
    ],
}


def text_question(story, text):
    assert re.fullmatch(r"[A-Za-z ,.;:]+", text), f"what a word is would be in doubt: {text}"
    return f"{TEXT_STORIES[story]}\n\n{text}"


def text_by_expressions(story, text):
    words = re.findall("[a-z]+", text.lower())
    letters = collections.Counter("".join(words))
    match story:
        case "different":
            return str(len(set(words)))
        case "vowels":
            return str(sum(letters[vowel] for vowel in "aeiou"))
        case "longest":
            return max(words, key=len)
        case "frequent":
            return min(letters, key=lambda letter: (-letters[letter], letter))


def text_by_characters(story, text):
    """One pass over the characters (no regular expressions, no `Counter`)."""
    words, word, tally = [], "", [0] * 26
    for character in text + " ":
        position = ord(character) | 32
        if ord("a") <= position <= ord("z") and character not in " ,.;:":
            word += chr(position)
            tally[position - ord("a")] += 1
        elif word:
            words.append(word)
            word = ""
    match story:
        case "different":
            return str(len(dict.fromkeys(words)))
        case "vowels":
            return str(sum(tally[ord(vowel) - ord("a")] for vowel in "aeiou"))
        case "longest":
            return next(word for word in words if len(word) == max(map(len, words)))
        case "frequent":
            return chr(ord("a") + tally.index(max(tally)))


# The whole ---------------------------------------------------------------------------------------------------------

FAMILIES = {
    "calendar": (CALENDAR, calendar_question, calendar_by_walking, calendar_by_weeks),
    "ledger": (LEDGER, ledger_question, ledger_by_decimals, ledger_by_whole_cents),
    "number": (NUMBER, number_question, number_by_sieve, number_by_definition),
    "text": (TEXT, text_question, text_by_expressions, text_by_characters),
}


def listed(items):
    return " and ".join(filter(None, (", ".join(items[:-1]), items[-1])))


def ordinal(number):
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def make():
    """Returns the text of each split's file."""
    files = {}
    questions = set()
    for split in SPLITS:
        lines = []
        for family, (rows, question_of, first_algorithm, second_algorithm) in FAMILIES.items():
            earlier = sum(len(rows[other]) for other in SPLITS[: SPLITS.index(split)])
            for number, row in enumerate(rows[split], start=earlier + 1):
                question, target, again = question_of(*row), first_algorithm(*row), second_algorithm(*row)
                identity = f"{family}-{number:02}"
                if target != again:
                    raise SystemExit(f"{identity}: the two algorithms disagree: {target} and {again}")
                if question in questions:
                    raise SystemExit(f"{identity}: the question occurs twice")
                questions.add(question)
                task = {"id": identity, "question": question, "target": target, "family": family, "kind": row[0]}
                lines.append(json.dumps(task))
        files[split] = "\n".join(lines) + "\n"
    return files


def main(arguments):
    if arguments not in ([], ["--check"]):
        raise SystemExit(f"usage: {pathlib.Path(__file__).name} [--check]")
    stale = []
    for split, text in make().items():
        path = TASKS / f"{split}.jsonl"
        if not arguments:
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(text.encode())
        elif not path.exists() or path.read_bytes() != text.encode():
            stale.append(path.name)
    if stale:
        raise SystemExit(f"not what this script makes: {', '.join(stale)}; run it without --check")
    print("tasks are as made" if arguments else "tasks written")


if __name__ == "__main__":
    main(sys.argv[1:])
