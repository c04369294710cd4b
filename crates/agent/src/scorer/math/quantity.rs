use super::expression::Expression;

/// A value apart from what it is measured in.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Quantity {
    /// What is left without them.
    pub(super) value: Expression,
    /// The words or the currency beside it.
    pub(super) unit: Option<String>,
    /// Whether it is in hundredths.
    pub(super) is_percent: bool,
    /// Whether it is an angle in degrees.
    pub(super) is_degree: bool,
}

impl Quantity {
    pub(super) fn of(expression: &Expression) -> Self {
        let mut quantity = Self { value: Expression::Infinity, unit: None, is_percent: false, is_degree: false };
        quantity.value = quantity.without_unit(expression);
        quantity
    }

    /// Returns the value with what a percent or degree sign means.
    pub(super) fn meant(&self) -> Expression {
        let name = match (self.is_percent, self.is_degree) {
            (true, _) => "percent",
            (_, true) => "degree",
            (false, false) => return self.value.clone(),
        };
        Expression::Call(name.to_owned(), vec![self.value.clone()])
    }

    fn without_unit(&mut self, expression: &Expression) -> Expression {
        match expression {
            Expression::Unit(words) => Expression::Text(words.clone()),
            Expression::Negative(inner) => Expression::Negative(Box::new(self.without_unit(inner))),
            Expression::Call(name, arguments) if arguments.len() == 1 && name == "percent" => {
                self.is_percent = true;
                arguments[0].clone()
            }
            Expression::Call(name, arguments) if arguments.len() == 1 && name == "degree" => {
                self.is_degree = true;
                arguments[0].clone()
            }
            Expression::Product(factors) => self.without_unit_factors(factors),
            Expression::Sum(terms) | Expression::Ratio(terms) => {
                let mut terms = terms.clone();
                if let Some(last) = terms.last_mut()
                    && matches!(last, Expression::Product(_))
                {
                    *last = self.without_unit(&last.clone());
                }
                match expression {
                    Expression::Sum(_) => Expression::Sum(terms),
                    _ => Expression::Ratio(terms),
                }
            }
            other => other.clone(),
        }
    }

    /// Takes a currency before, and words after, the other factors.
    fn without_unit_factors(&mut self, factors: &[Expression]) -> Expression {
        let is_currency = |unit: &str| matches!(unit, "dollar" | "€" | "£" | "¥" | "₹");
        let mut rest = factors;
        let mut unit = Vec::new();
        if let [Expression::Unit(mark), after @ ..] = rest
            && is_currency(mark)
            && !after.is_empty()
        {
            unit.push(mark.clone());
            rest = after;
        }
        while let [before @ .., Expression::Unit(words)] = rest
            && !before.is_empty()
        {
            unit.insert(0, words.clone());
            rest = before;
        }
        unit.dedup();
        if !unit.is_empty() {
            self.unit = Some(unit.join(" "));
        }
        match rest {
            [only] => self.without_unit(only),
            several => Expression::Product(several.to_vec()),
        }
    }
}
