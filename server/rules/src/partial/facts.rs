//! What a query demands of every document that it returns, or of those of one of its branches.
//!
//! A query's filter is a disjunction of branches, each a conjunction of comparisons; those are facts about the documents of
//! the branch. Facts decide tests: a field that must equal `x` fails or passes every test as `x` does, a range proves a
//! wider range, an element that must be in a list is in it.
//!
//! Facts may be left out, which only proves less. What contradicts itself proves anything, since no document is returned.

use std::rc::Rc;

use andiron_protocol::{FieldPath, FieldRef, Filter, Operator, Query, TypeClass, Value as Stored};

use super::condition::{self, ConditionKind, Shared};
use super::constant::{Forms, is_determined};
use super::test::{Outcome, Relation, Test, member};
use crate::language::{Kind, Kinds};

/// How many branches a query's filter is taken apart into at most, when a list is to be proved; one with more is looked
/// at as far as all branches agree.
pub const BRANCHES_MAX: usize = 100;

/// How many parts of conditions, and values that fields may have, are looked at to apply facts. What is beyond stays as it
/// is.
pub const SIMPLIFYING_STEPS_MAX: u32 = 20_000;

/// What is known of every document.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts<'a> {
    fields: Vec<(FieldRef, FieldFacts<'a>)>,
}

/// What is known of a field in every document.
#[derive(Clone, Debug, Default)]
struct FieldFacts<'a> {
    is_present: Option<bool>,
    /// Its value equals one of these.
    one_of: Option<Vec<&'a Stored>>,
    class: Option<TypeClass>,
    /// The bound, and whether its value may equal it.
    lower: Option<(&'a Stored, bool)>,
    upper: Option<(&'a Stored, bool)>,
    /// It is a list that has one of each of these.
    contains: Vec<Vec<&'a Stored>>,
    /// Its value equals none of these.
    excluded: Vec<&'a Stored>,
    is_not_null: bool,
}

/// A comparison that holds.
type Atom<'a> = (&'a FieldRef, Operator, &'a Stored);

/// What a comparison of a filter says where it has to hold, or not to hold.
#[derive(Clone, Copy)]
enum Literal<'a> {
    Atom(Atom<'a>),
    Presence(&'a FieldRef, bool),
    /// The field does not equal these; it may be missing.
    Unequal(&'a FieldRef, &'a [Stored]),
}

impl<'a> Facts<'a> {
    /// What holds for all documents of a query.
    pub(crate) fn common(query: &'a Query) -> Self {
        let mut facts = Self::ordered(query);
        let mut waiting: Vec<&'a Filter> = query.filter.iter().collect();
        while let Some(filter) = waiting.pop() {
            match filter {
                Filter::And(parts) => waiting.extend(parts),
                Filter::Or(parts) if parts.len() == 1 => waiting.extend(parts),
                Filter::Compare { .. } => literal(filter, false)
                    .iter()
                    .for_each(|literal| facts.learn(*literal)),
                Filter::Not(inner) => {
                    if let Filter::Compare { .. } = **inner {
                        literal(inner, true)
                            .iter()
                            .for_each(|literal| facts.learn(*literal));
                    }
                }
                Filter::Or(_) => {}
            }
        }
        facts
    }

    /// What holds for the documents of each branch of a query. Every document that it returns is of one of them.
    pub(crate) fn branches(query: &'a Query) -> Vec<Self> {
        let literals = match &query.filter {
            None => return vec![Self::ordered(query)],
            Some(filter) => disjunction(filter, false),
        };
        let Some(literals) = literals else {
            return vec![Self::common(query)];
        };
        let ordered = Self::ordered(query);
        literals
            .into_iter()
            .map(|literals| {
                let mut facts = ordered.clone();
                literals.into_iter().for_each(|literal| facts.learn(literal));
                facts
            })
            .collect()
    }

    /// The same, one by one for the values that some field may have; `None` if no field has several.
    pub(crate) fn split(&self) -> Option<Vec<Self>> {
        let several = |facts: &FieldFacts<'a>| facts.one_of.as_ref().is_some_and(|values| values.len() > 1);
        let place = self.fields.iter().position(|(_, facts)| several(facts))?;
        let values = self.fields[place].1.one_of.clone()?;
        let with = |value| {
            let mut facts = self.clone();
            facts.fields[place].1.one_of = Some(vec![value]);
            facts
        };
        Some(values.into_iter().map(with).collect())
    }

    /// What the order demands: that its fields are there.
    fn ordered(query: &Query) -> Self {
        let mut facts = Self::default();
        for order in query.normalized_order() {
            facts.of(&order.field).is_present = Some(true);
        }
        facts
    }

    fn of(&mut self, field: &FieldRef) -> &mut FieldFacts<'a> {
        let place = match self.fields.iter().position(|(own, _)| own == field) {
            Some(place) => place,
            None => {
                self.fields.push((field.clone(), FieldFacts::default()));
                self.fields.len() - 1
            }
        };
        &mut self.fields[place].1
    }

    fn learn(&mut self, literal: Literal<'a>) {
        let (field, operator, value) = match literal {
            Literal::Atom(atom) => atom,
            Literal::Presence(field, is_present) => {
                self.of(field).is_present = Some(is_present);
                return;
            }
            Literal::Unequal(field, values) => {
                self.of(field).excluded.extend(values);
                return;
            }
        };
        let facts = self.of(field);
        facts.is_present = Some(true);
        let list = || value.as_array().unwrap_or_default().iter().collect::<Vec<_>>();
        match operator {
            Operator::Equal => facts.narrow(vec![value]),
            Operator::In => facts.narrow(list()),
            Operator::Less | Operator::LessOrEqual => {
                facts.class = Some(value.type_class());
                let bound = (value, operator == Operator::LessOrEqual);
                if facts.upper.is_none_or(|upper| bound < upper) {
                    facts.upper = Some(bound);
                }
            }
            Operator::Greater | Operator::GreaterOrEqual => {
                facts.class = Some(value.type_class());
                let bound = (value, operator == Operator::GreaterOrEqual);
                let is_tighter = |(lower, inclusive): (&Stored, bool)| {
                    bound.0 > lower || (bound.0 == lower && inclusive && !bound.1)
                };
                if facts.lower.is_none_or(is_tighter) {
                    facts.lower = Some(bound);
                }
            }
            Operator::StartsWith => {
                facts.class = Some(TypeClass::String);
                facts.lower = facts.lower.or(Some((value, true)));
            }
            Operator::NotEqual => {
                facts.is_not_null = true;
                facts.excluded.push(value);
            }
            Operator::NotIn => {
                facts.is_not_null = true;
                facts.excluded.extend(list());
            }
            Operator::ArrayContains => {
                facts.class = Some(TypeClass::Array);
                facts.contains.push(vec![value]);
            }
            Operator::ArrayContainsAny => {
                facts.class = Some(TypeClass::Array);
                facts.contains.push(list());
            }
            Operator::Exists => {}
        }
    }

    /// The value that a field has in every document, if it is also the same one to rules.
    pub(crate) fn value(&self, path: &FieldPath) -> Option<&'a Stored> {
        self.fields.iter().find_map(|(field, facts)| {
            let FieldRef::Field(own) = field else { return None };
            let [only] = facts.one_of.as_deref()? else {
                return None;
            };
            let value = inside(only, own, path)??;
            is_determined(value).then_some(value)
        })
    }

    /// The id that every document has.
    pub(crate) fn id(&self) -> Option<&'a str> {
        self.fields
            .iter()
            .find_map(|(field, facts)| match (field, facts.one_of.as_deref()) {
                (FieldRef::Id, Some([only])) => only.as_str(),
                _ => None,
            })
    }

    /// Whether a field is there in every document, or in none.
    fn is_present(&self, wanted: &FieldRef) -> Option<bool> {
        let FieldRef::Field(path) = wanted else {
            return Some(true);
        };
        self.fields.iter().find_map(|(field, facts)| {
            let FieldRef::Field(own) = field else { return None };
            if path.is_prefix_of(own) && facts.is_present == Some(true) {
                return Some(true);
            }
            if !own.is_prefix_of(path) {
                return None;
            }
            let is_no_map = own != path && facts.class.is_some_and(|class| class != TypeClass::Map);
            (facts.is_present == Some(false) || is_no_map).then_some(false)
        })
    }

    /// The values that a field may have; `None` stands for its absence.
    fn candidates(&self, wanted: &FieldRef) -> Option<Vec<Option<&'a Stored>>> {
        self.fields.iter().find_map(|(field, facts)| {
            let one_of = facts.one_of.as_ref()?;
            match (field, wanted) {
                (FieldRef::Id, FieldRef::Id) => Some(one_of.iter().copied().map(Some).collect()),
                (FieldRef::Field(own), FieldRef::Field(path)) => {
                    one_of.iter().map(|value| inside(value, own, path)).collect()
                }
                _ => None,
            }
        })
    }

    /// What comes of a test for every document, if it is the same for all.
    fn decide(&self, test: &Test, steps_left: &mut u32) -> Option<Outcome> {
        let is_present = self.is_present(&test.field);
        match (&test.relation, is_present) {
            (Relation::Exists, Some(true)) => return Some(Outcome::True),
            (Relation::Exists, Some(false)) => return Some(Outcome::False),
            (_, Some(false)) => return Some(Outcome::Fails),
            _ => {}
        }
        if let Some(candidates) = self.candidates(&test.field) {
            *steps_left = steps_left.saturating_sub(u32::try_from(candidates.len()).unwrap_or(u32::MAX));
            return test.outcome(candidates);
        }
        if let (Relation::Contains { key: Some(key), .. }, FieldRef::Field(path)) =
            (&test.relation, &test.field)
            && let Some(path) = member(path, key)
            && self.is_present(&FieldRef::Field(path)) == Some(true)
        {
            // It is a map, and this one of its keys.
            return Some(Outcome::True);
        }
        let facts = self.fields.iter().find(|(field, _)| *field == test.field);
        match facts {
            Some((_, facts)) => facts.decide(&test.relation, is_present == Some(true)),
            None => {
                // A map on the way to a field that is there.
                let is_map = is_present == Some(true) && matches!(test.field, FieldRef::Field(_));
                match &test.relation {
                    Relation::Is(kinds) if is_map => Some(truth(kinds.has(Kind::Map))),
                    Relation::Equal(Forms::These(values))
                        if is_map && values.iter().all(|value| value.as_map().is_none()) =>
                    {
                        Some(Outcome::False)
                    }
                    _ => None,
                }
            }
        }
    }

    /// The condition as it is for these documents.
    pub(crate) fn simplify(&self, condition: &Shared) -> Shared {
        if self.fields.is_empty() {
            return Rc::clone(condition);
        }
        self.simplify_within(condition, &mut { SIMPLIFYING_STEPS_MAX })
    }

    fn simplify_within(&self, condition: &Shared, steps_left: &mut u32) -> Shared {
        *steps_left = steps_left.saturating_sub(1);
        if *steps_left == 0 {
            return Rc::clone(condition);
        }
        let mut each = |parts: &[Shared]| -> Vec<Shared> {
            parts
                .iter()
                .map(|part| self.simplify_within(part, steps_left))
                .collect()
        };
        match &condition.kind {
            ConditionKind::Known(_) | ConditionKind::Failed => Rc::clone(condition),
            ConditionKind::Test(test) => match self.decide(test, steps_left) {
                Some(Outcome::True) => condition::known(true),
                Some(Outcome::False) => condition::known(false),
                Some(Outcome::Fails) => condition::failed(),
                None => Rc::clone(condition),
            },
            ConditionKind::Not(inner) => condition::not(&self.simplify_within(inner, steps_left)),
            ConditionKind::All(parts) => condition::all(each(parts)),
            ConditionKind::Any(parts) => condition::any(each(parts)),
            ConditionKind::Choice(cases) => {
                let (guards, thens): (Vec<_>, Vec<_>) = cases.iter().cloned().unzip();
                let guards = each(&guards);
                condition::choice(guards.into_iter().zip(each(&thens)))
            }
            ConditionKind::Unclear { defined, span } => {
                condition::unclear(self.simplify_within(defined, steps_left), *span)
            }
        }
    }
}

impl<'a> FieldFacts<'a> {
    fn narrow(&mut self, values: Vec<&'a Stored>) {
        match &mut self.one_of {
            Some(one_of) => one_of.retain(|own| values.contains(own)),
            None => self.one_of = Some(values),
        }
    }

    /// What comes of a relation for every value that the field may have.
    fn decide(&self, relation: &Relation, is_present: bool) -> Option<Outcome> {
        match relation {
            Relation::Equal(Forms::These(values)) if is_present => values
                .iter()
                .all(|value| self.excludes(value))
                .then_some(Outcome::False),
            Relation::OneOf(values) if is_present => values
                .iter()
                .all(|value| self.excludes(value))
                .then_some(Outcome::False),
            Relation::Is(kinds) => self.class.and_then(|class| is_of(class, *kinds)),
            Relation::Ordered(operator, constant) => self.ordered(*operator, constant),
            Relation::Contains { element, .. } => self.has_any(std::slice::from_ref(element)),
            Relation::HasAny(elements) => self.has_any(elements),
            Relation::HasAll(elements) => {
                let has = |element| self.has_any(std::slice::from_ref(element)) == Some(Outcome::True);
                (self.class == Some(TypeClass::Array) && elements.iter().all(has)).then_some(Outcome::True)
            }
            _ => None,
        }
    }

    /// Whether it is known to have a value that does not equal this one.
    fn excludes(&self, value: &Stored) -> bool {
        value.is_null() && self.is_not_null
            || self.excluded.contains(&value)
            || self.class.is_some_and(|class| class != value.type_class())
            || self
                .lower
                .is_some_and(|(lower, inclusive)| value < lower || (!inclusive && value == lower))
            || self
                .upper
                .is_some_and(|(upper, inclusive)| value > upper || (!inclusive && value == upper))
    }

    /// Whether the list is known to have one of these.
    fn has_any(&self, elements: &[Forms]) -> Option<Outcome> {
        let is_element = |value: &&Stored| {
            elements
                .iter()
                .any(|forms| matches!(forms, Forms::These(values) if values.contains(value)))
        };
        self.contains
            .iter()
            .any(|has| has.iter().all(is_element))
            .then_some(Outcome::True)
    }

    fn ordered(&self, operator: Operator, constant: &Stored) -> Option<Outcome> {
        match (self.class?, constant.type_class()) {
            (TypeClass::Nan, TypeClass::Number) => return Some(Outcome::False),
            (own, other) if own != other => return Some(Outcome::Fails),
            _ => {}
        }
        // Whether all values are above the constant, or at least not below.
        let above = self
            .lower
            .is_some_and(|(lower, inclusive)| lower > constant || (lower == constant && !inclusive));
        let not_below = self.lower.is_some_and(|(lower, _)| lower >= constant);
        let below = self
            .upper
            .is_some_and(|(upper, inclusive)| upper < constant || (upper == constant && !inclusive));
        let not_above = self.upper.is_some_and(|(upper, _)| upper <= constant);
        let (holds, holds_not) = match operator {
            Operator::Less => (below, not_below),
            Operator::LessOrEqual => (not_above, above),
            Operator::Greater => (above, not_above),
            _ => (not_below, below),
        };
        match (holds, holds_not) {
            (true, _) => Some(Outcome::True),
            (_, true) => Some(Outcome::False),
            _ => None,
        }
    }
}

fn truth(truth: bool) -> Outcome {
    if truth { Outcome::True } else { Outcome::False }
}

/// Whether the values of a class are of these types, if that is the same for all of them.
fn is_of(class: TypeClass, kinds: Kinds) -> Option<Outcome> {
    let kind = match class {
        TypeClass::Number if kinds.has(Kind::Int) != kinds.has(Kind::Float) => return None,
        TypeClass::Null => Kind::Null,
        TypeClass::Boolean => Kind::Bool,
        TypeClass::Nan | TypeClass::Number => Kind::Float,
        TypeClass::Timestamp => Kind::Timestamp,
        TypeClass::String => Kind::String,
        TypeClass::Bytes => Kind::Bytes,
        TypeClass::Reference => Kind::Path,
        TypeClass::GeoPoint => Kind::LatLng,
        TypeClass::Array | TypeClass::Vector => Kind::List,
        TypeClass::Map => Kind::Map,
    };
    Some(truth(kinds.has(kind)))
}

/// What a value at one path has at another: `None` if that is not inside of it, `Some(None)` if it has nothing there.
fn inside<'a>(value: &'a Stored, own: &FieldPath, wanted: &FieldPath) -> Option<Option<&'a Stored>> {
    let rest = wanted.segments().strip_prefix(own.segments())?;
    Some(
        rest.iter()
            .try_fold(value, |value, name| value.as_map()?.get(name)),
    )
}

/// What a comparison says if it holds, or if it does not.
fn literal(filter: &Filter, negated: bool) -> Option<Literal<'_>> {
    let Filter::Compare {
        field,
        operator,
        value,
    } = filter
    else {
        return None;
    };
    match (operator, negated) {
        (Operator::Exists, _) => Some(Literal::Presence(field, value.as_boolean()? != negated)),
        (_, false) => Some(Literal::Atom((field, *operator, value))),
        (Operator::Equal, true) => Some(Literal::Unequal(field, std::slice::from_ref(value))),
        (Operator::In, true) => Some(Literal::Unequal(field, value.as_array()?)),
        // What does not match may also be missing, or of another class.
        (_, true) => None,
    }
}

/// The filter as alternatives, each what holds in it; `None` if there are too many. Of the values of an
/// `in` [`Facts::split`] makes alternatives.
fn disjunction(filter: &Filter, negated: bool) -> Option<Vec<Vec<Literal<'_>>>> {
    let (parts, is_conjunction) = match filter {
        Filter::Compare { .. } => return Some(vec![literal(filter, negated).into_iter().collect()]),
        Filter::Not(inner) => return disjunction(inner, !negated),
        Filter::And(parts) => (parts, !negated),
        Filter::Or(parts) => (parts, negated),
    };
    let mut result: Vec<Vec<Literal<'_>>> = if is_conjunction {
        vec![Vec::new()]
    } else {
        Vec::new()
    };
    for part in parts {
        let inner = disjunction(part, negated)?;
        if is_conjunction {
            if result.len() * inner.len() > BRANCHES_MAX {
                return None;
            }
            result = result
                .iter()
                .flat_map(|left| {
                    inner
                        .iter()
                        .map(|right| [left.as_slice(), right.as_slice()].concat())
                })
                .collect();
        } else {
            result.extend(inner);
            if result.len() > BRANCHES_MAX {
                return None;
            }
        }
    }
    Some(result)
}
