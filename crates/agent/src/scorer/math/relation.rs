//! What equations and inequalities say: a name and its value, an interval.

use super::expression::Expression;

/// Returns name and value of `x = 5` or `f(x) = 2x`.
pub(super) fn definition<'a>((parts, signs): (&'a [Expression], &[char])) -> Option<(&'a Expression, &'a Expression)> {
    let [name, value] = parts else { return None };
    (signs == ['='] && is_name(name)).then_some((name, value))
}

pub(super) fn is_definition_of_constant((parts, signs): &(Vec<Expression>, Vec<char>)) -> bool {
    definition((parts, signs)).is_some_and(|(_, value)| is_constant(value))
}

/// Returns what a relation says that something is: the last part of `x = a = b`, the set of `x \in A`.
pub(super) fn value_of<'a>(parts: &'a [Expression], signs: &[char]) -> Option<&'a Expression> {
    let starts_with_name = parts.first().is_some_and(is_name);
    match signs {
        ['∈'] if starts_with_name => parts.last(),
        // The exact value stands before the rounded one.
        ['=', '≈'] if starts_with_name => parts.get(1),
        ['≈'] => parts.get(usize::from(starts_with_name)),
        signs if signs.iter().all(|sign| *sign == '=') => {
            let is_chain = starts_with_name || parts.iter().all(is_constant);
            is_chain.then_some(parts.last()).flatten()
        }
        _ => None,
    }
}

pub(super) fn is_chain_of_constants(parts: &[Expression], signs: &[char]) -> bool {
    signs.iter().all(|sign| matches!(sign, '=' | '≈')) && parts.iter().all(is_constant)
}

/// Says whether something is the name of what an equation defines.
pub(super) fn is_name(expression: &Expression) -> bool {
    match expression {
        Expression::Symbol(name) => !matches!(name.as_str(), "pi" | "e" | "i"),
        Expression::Call(name, _) => matches!(name.as_str(), "f" | "g" | "h"),
        Expression::Unit(_) => true,
        // `P(x)`, `m∠A`.
        Expression::Product(factors) => factors.iter().all(|factor| matches!(factor, Expression::Symbol(_))),
        // `(x, y)`
        Expression::Brackets { open: '(', items, close: ')' } => {
            items.iter().all(|item| matches!(item, Expression::Symbol(_)))
        }
        _ => false,
    }
}

pub(super) fn is_constant(expression: &Expression) -> bool {
    match expression {
        Expression::Symbol(name) => matches!(name.as_str(), "pi" | "e" | "i"),
        Expression::Text(_) => false,
        other => other.parts().into_iter().all(is_constant),
    }
}

/// Turns a chain around if it descends.
pub(super) fn ascending((parts, signs): (&[Expression], &[char])) -> (Vec<Expression>, Vec<char>) {
    if !matches!(signs.first(), Some('>' | '≥')) {
        return (parts.to_vec(), signs.to_vec());
    }
    let turned = signs.iter().rev().map(|sign| match sign {
        '>' => '<',
        '≥' => '≤',
        '<' => '>',
        '≤' => '≥',
        other => *other,
    });
    (parts.iter().rev().cloned().collect(), turned.collect())
}

/// Returns the interval that an inequality of one name describes.
pub(super) fn as_interval(expression: &Expression) -> Option<Expression> {
    let Expression::Relation(parts, signs) = expression else { return None };
    if let (['∈'], [name, set]) = (signs.as_slice(), parts.as_slice()) {
        return is_name(name).then(|| set.clone());
    }
    let (parts, signs) = ascending((parts, signs));
    let infinity = |is_negative: bool| {
        if is_negative { Expression::Negative(Box::new(Expression::Infinity)) } else { Expression::Infinity }
    };
    let (low, open, high, close) = match (parts.as_slice(), signs.as_slice()) {
        ([low, name, high], [below, above]) if is_name(name) => (low.clone(), *below, high.clone(), *above),
        ([name, high], [above]) if is_name(name) => (infinity(true), '<', high.clone(), *above),
        ([low, name], [below]) if is_name(name) => (low.clone(), *below, infinity(false), '<'),
        _ => return None,
    };
    let bracket = |sign: char, strict: char, closed: char| match sign {
        '<' => Some(strict),
        '≤' => Some(closed),
        _ => None,
    };
    let (open, close) = (bracket(open, '(', '[')?, bracket(close, ')', ']')?);
    Some(Expression::Brackets { open, items: vec![low, high], close })
}
