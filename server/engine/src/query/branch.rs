//! Filters taken apart: what a filter demands of each field, as far as keys can tell.
//!
//! A filter is a disjunction of *branches*, each a conjunction of comparisons. A branch demands intervals of values of
//! single fields, and perhaps more that no interval expresses. Whatever is taken apart here only narrows down where
//! documents are looked for; whether one matches is asked of the filter itself unless its key proves it.

use andiron_protocol::{FieldPath, FieldRef, Filter, Operator, Value};

use super::interval::{self, Interval, intersect};

/// Branches that a filter is taken apart into at most; one with more is looked at as a whole.
pub(crate) const BRANCHES_MAX: usize = 30;

/// A comparison in a branch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Atom<'q> {
    pub(crate) field: &'q FieldRef,
    pub(crate) operator: Operator,
    pub(crate) value: &'q Value,
    /// Whether the comparison must not hold. A missing field then is fine.
    negated: bool,
}

impl Atom<'_> {
    /// The comparison as it stands in a query.
    pub(crate) fn describe(&self) -> String {
        let comparison = (self.field, self.operator.as_str(), self.value);
        let json = serde_json::to_string(&comparison).unwrap_or_default();
        if self.negated {
            format!("[\"not\",{json}]")
        } else {
            json
        }
    }
}

/// What a branch demands of a field.
#[derive(Clone, Debug)]
pub(crate) struct FieldDemand<'q> {
    pub(crate) field: &'q FieldPath,
    /// Where its value may lie. Any demand implies that the field is there.
    pub(crate) intervals: Vec<Interval<'q>>,
    /// Whether it only follows from what is demanded of the field's elements.
    pub(crate) is_implied: bool,
}

/// What a branch demands of an array's elements: that at least one lies in these places.
#[derive(Clone, Debug)]
pub(crate) struct ElementDemand<'q> {
    pub(crate) field: &'q FieldPath,
    pub(crate) points: Vec<Interval<'q>>,
}

/// A conjunction.
#[derive(Clone, Debug)]
pub(crate) struct Branch<'q> {
    pub(crate) fields: Vec<FieldDemand<'q>>,
    pub(crate) elements: Vec<ElementDemand<'q>>,
    /// Where the id may lie, if anything is demanded of it.
    pub(crate) ids: Option<Vec<Interval<'q>>>,
    /// Whether more is demanded than stands above.
    pub(crate) has_rest: bool,
    /// What it was made from.
    pub(crate) atoms: Vec<Atom<'q>>,
}

/// The branches of a filter, those that nothing can match left out; `None` if there are too many.
pub(crate) fn branches(filter: Option<&Filter>) -> Option<Vec<Branch<'_>>> {
    let conjunctions = match filter {
        Some(filter) => disjunction(filter, false)?,
        None => vec![Vec::new()],
    };
    Some(
        conjunctions
            .into_iter()
            .filter_map(|atoms| Branch::new(atoms, false))
            .collect(),
    )
}

/// What all branches of a filter share; `None` if nothing can match.
pub(crate) fn common_branch(filter: Option<&Filter>) -> Option<Branch<'_>> {
    let mut atoms = Vec::new();
    let mut has_rest = false;
    let mut waiting: Vec<&Filter> = filter.into_iter().collect();
    while let Some(filter) = waiting.pop() {
        match filter {
            Filter::And(filters) => waiting.extend(filters),
            Filter::Compare { .. } => atoms.extend(atom(filter, false)),
            Filter::Or(_) | Filter::Not(_) => has_rest = true,
        }
    }
    Branch::new(atoms, has_rest)
}

/// The disjunctive normal form. `not` moves inwards by De Morgan's laws, which hold because a filter either matches or
/// does not.
fn disjunction(filter: &Filter, negated: bool) -> Option<Vec<Vec<Atom<'_>>>> {
    let (filters, is_conjunction) = match filter {
        Filter::Compare { .. } => return Some(vec![atom(filter, negated).into_iter().collect()]),
        Filter::Not(inner) => return disjunction(inner, !negated),
        Filter::And(filters) => (filters, !negated),
        Filter::Or(filters) => (filters, negated),
    };
    let mut result = if is_conjunction {
        vec![Vec::new()]
    } else {
        Vec::new()
    };
    for filter in filters {
        let inner = disjunction(filter, negated)?;
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

fn atom(filter: &Filter, negated: bool) -> Option<Atom<'_>> {
    match filter {
        Filter::Compare {
            field,
            operator,
            value,
        } => Some(Atom {
            field,
            operator: *operator,
            value,
            negated,
        }),
        _ => None,
    }
}

impl<'q> Branch<'q> {
    /// A branch of these comparisons and perhaps more; `None` if nothing can match them.
    fn new(atoms: Vec<Atom<'q>>, has_rest: bool) -> Option<Self> {
        let mut branch = Self {
            fields: Vec::new(),
            elements: Vec::new(),
            ids: None,
            has_rest,
            atoms: Vec::new(),
        };
        for atom in &atoms {
            branch.demand(*atom);
        }
        branch.atoms = atoms;
        let is_possible = branch.fields.iter().all(|demand| !demand.intervals.is_empty())
            && branch.elements.iter().all(|demand| !demand.points.is_empty())
            && branch.ids.as_ref().is_none_or(|ids| !ids.is_empty());
        is_possible.then_some(branch)
    }

    fn demand(&mut self, atom: Atom<'q>) {
        let presence = (atom.operator == Operator::Exists)
            .then(|| atom.value.as_boolean().unwrap_or_default() != atom.negated);
        match (atom.field, presence) {
            (FieldRef::Id, Some(true)) => {}
            (FieldRef::Id, Some(false)) => self.demand_ids(Vec::new()),
            (FieldRef::Field(field), Some(true)) => self.demand_value(field, vec![Interval::ALL], false),
            (FieldRef::Field(_), Some(false)) => self.has_rest = true,
            (_, None) if atom.negated => self.has_rest = true,
            (FieldRef::Id, None) => match interval::ids(atom.operator, atom.value) {
                Some(intervals) => self.demand_ids(intervals),
                None => self.has_rest = true,
            },
            (FieldRef::Field(field), None) => {
                let elements = match atom.operator {
                    Operator::ArrayContains => Some(std::slice::from_ref(atom.value)),
                    Operator::ArrayContainsAny => Some(atom.value.as_array().unwrap_or_default()),
                    _ => None,
                };
                if let Some(intervals) = interval::values(atom.operator, atom.value) {
                    self.demand_value(field, intervals, elements.is_some());
                }
                if let Some(elements) = elements {
                    let points = interval::points(elements);
                    self.elements.push(ElementDemand { field, points });
                }
            }
        }
    }

    fn demand_ids(&mut self, intervals: Vec<Interval<'q>>) {
        self.ids = Some(match &self.ids {
            Some(ids) => intersect(ids, &intervals),
            None => intervals,
        });
    }

    fn demand_value(&mut self, field: &'q FieldPath, intervals: Vec<Interval<'q>>, is_implied: bool) {
        match self.fields.iter_mut().find(|demand| demand.field == field) {
            Some(demand) => {
                demand.intervals = intersect(&demand.intervals, &intervals);
                demand.is_implied &= is_implied;
            }
            None => self.fields.push(FieldDemand {
                field,
                intervals,
                is_implied,
            }),
        }
    }

    /// What is demanded of a field's value.
    pub(crate) fn of_field(&self, field: &FieldPath) -> Option<&FieldDemand<'q>> {
        self.fields.iter().find(|demand| demand.field == field)
    }

    /// What is demanded of a field's elements; the first demand, if there are several.
    pub(crate) fn of_elements(&self, field: &FieldPath) -> Option<&ElementDemand<'q>> {
        self.elements.iter().find(|demand| demand.field == field)
    }

    /// The fields that have one and the same value in all documents of the branch, with that value.
    pub(crate) fn constants(&self) -> impl Iterator<Item = (&'q FieldPath, &'q Value)> {
        self.fields
            .iter()
            .filter_map(|demand| match demand.intervals.as_slice() {
                [
                    Interval {
                        point: Some(value), ..
                    },
                ] => Some((demand.field, *value)),
                _ => None,
            })
    }
}
