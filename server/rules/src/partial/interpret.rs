//! The partial evaluator: a node of the core and what is known of a list, to what the node comes to for its documents.
//!
//! A second walk over the core beside the straightforward one, in the same order and with the same laziness. What is known
//! is computed by the same functions; `relate` and `method` say what operators and methods make of what is not.
//! Where a branch depends on the document both ways are walked, so that nothing is evaluated for one document that is not
//! evaluated here, but for what [`Interpreter::is_metered`] says.
//!
//! A limit that is met here is no failure: for one document it may not be met. What it keeps from being evaluated is not
//! known.

mod call;
mod literal;

use std::rc::Rc;

use smallvec::SmallVec;

use super::condition::{ConditionKind, Shared};
use super::facts::Facts;
use super::matching::Captured;
use super::term::{Partial, Term};
use super::test::Relation;
use super::{condition, term};
use crate::evaluate::context::Context;
use crate::evaluate::core::{Body, Core, Node, NodeId, NodeKind};
use crate::evaluate::lookup::Lookups;
use crate::evaluate::value::{Octets, Value};
use crate::evaluate::{Documents, EVALUATION_DEPTH_MAX, EvaluationError, Fault, Request, operator};
use crate::limits::Limits;
use crate::source::Span;

/// Why a condition has no value.
#[derive(Clone, Debug)]
pub(crate) enum Stop {
    Error(Box<EvaluationError>),
    Needs,
}

/// A variable's value, or how to get it.
#[derive(Clone, Debug)]
enum Slot<'a> {
    /// To be evaluated in the frame that begins here.
    Unevaluated {
        node: NodeId,
        base: usize,
    },
    Evaluated(Partial<'a>, Reach),
    Empty,
}

/// How many levels of calls and of expressions an evaluation has gone down at most.
///
/// For one document a variable may be evaluated first at another place than here, because what was evaluated here before
/// is not for that document. If that place is so deep that a limit would be met, the document may fail by it.
#[derive(Clone, Copy, Debug, Default)]
struct Reach {
    calls: u16,
    depth: u16,
}

/// Arguments, elements: few of them, usually.
pub(crate) type Partials<'a> = SmallVec<[Partial<'a>; 2]>;

/// The state of judging one list.
pub(crate) struct Interpreter<'a> {
    pub(crate) core: &'a Core,
    /// Its target stands for a document that is not known, and must not be asked for.
    pub(crate) request: &'a Request<'a>,
    pub(crate) documents: &'a Documents,
    pub(crate) limits: &'a Limits,
    pub(crate) facts: &'a Facts<'a>,
    pub(crate) context: Context<'a>,
    pub(crate) lookups: Lookups,
    /// Whether what it takes to judge one document is bounded by what it took so far: loops over a list of the document,
    /// tests of types and the like may take more, and fail by a limit.
    pub(crate) is_metered: bool,
    captures: Vec<Partial<'a>>,
    lets: &'a [Body],
    let_values: Vec<Option<(Partial<'a>, Reach)>>,
    locals: Vec<Slot<'a>>,
    expressions: u32,
    calls: u16,
    depth: u16,
    /// The deepest so far, of what is being measured.
    deepest: Reach,
}

impl<'a> Interpreter<'a> {
    pub(crate) fn new(
        core: &'a Core,
        request: &'a Request<'a>,
        documents: &'a Documents,
        limits: &'a Limits,
        facts: &'a Facts<'a>,
        context: Context<'a>,
    ) -> Self {
        Self {
            core,
            request,
            documents,
            limits,
            facts,
            context,
            lookups: Lookups::new(limits.lookups_max),
            is_metered: true,
            captures: Vec::new(),
            lets: &[],
            let_values: Vec::new(),
            locals: Vec::new(),
            expressions: 0,
            calls: 0,
            depth: 0,
            deepest: Reach::default(),
        }
    }

    /// Begins with another match, which captures this and whose bindings these are.
    pub(crate) fn enter_match(&mut self, captures: Vec<Captured<'a>>, lets: &'a [Body]) {
        self.captures.clear();
        self.captures
            .extend(captures.into_iter().map(|captured| match captured {
                Captured::Segment(segment) => Partial::Known(Value::string(segment)),
                Captured::Path(path) => Partial::Known(Value::Path(path)),
                Captured::Id => Partial::term(Term::Id),
                Captured::UnknownPath => Partial::opaque(condition::known(true)),
            }));
        self.lets = lets;
        self.let_values.clear();
        self.let_values.resize(lets.len(), None);
    }

    /// The condition of an `allow`; without one it is true.
    pub(crate) fn condition(&mut self, body: Option<Body>) -> Result<Shared, Stop> {
        let Some(body) = body else {
            return Ok(condition::known(true));
        };
        let result = self.body(body);
        self.truth(result, "if", self.core.node(body.node).span)
    }

    fn body(&mut self, body: Body) -> Partial<'a> {
        let base = self.locals.len();
        self.locals.resize(base + usize::from(body.locals), Slot::Empty);
        let result = self.eval(body.node, base);
        self.locals.truncate(base);
        result
    }

    pub(crate) fn fail(&mut self, fault: Fault, span: Span) -> Partial<'a> {
        let is_limit = matches!(
            fault,
            Fault::ExpressionsMax(_)
                | Fault::LookupsMax(_)
                | Fault::ValueBytesMax(_)
                | Fault::CallDepthMax(_)
                | Fault::DepthMax(_)
        );
        if is_limit {
            return self.give_up();
        }
        Partial::Failed(Box::new(EvaluationError { fault, span }))
    }

    /// What is not known, and may take more than is allowed for one document.
    fn give_up(&mut self) -> Partial<'a> {
        self.is_metered = false;
        Partial::opaque(condition::known(true))
    }

    /// A result of something that knows no spans.
    pub(crate) fn done(&mut self, result: Result<Value<'a>, Fault>, span: Span) -> Partial<'a> {
        match result.and_then(|value| self.context.check().map(|()| value)) {
            Ok(value) => Partial::Known(value),
            Err(fault) => self.fail(fault, span),
        }
    }

    /// Evaluates an expression in the frame that begins at `base`.
    pub(crate) fn eval(&mut self, id: NodeId, base: usize) -> Partial<'a> {
        if self.expressions >= self.limits.expressions_max || self.depth >= EVALUATION_DEPTH_MAX {
            return self.give_up();
        }
        self.expressions += 1;
        self.depth += 1;
        self.deepest.depth = self.deepest.depth.max(self.depth);
        let result = self.node(self.core.node(id), base);
        self.depth -= 1;
        result
    }

    fn node(&mut self, node: &'a Node, base: usize) -> Partial<'a> {
        // As in the straightforward evaluator every arm is one call, for the sake of the stack.
        let span = node.span;
        match &node.kind {
            NodeKind::Local(place) => self.local(base + usize::from(*place), span),
            NodeKind::MatchLet(place) => self.match_let(usize::from(*place), span),
            NodeKind::Member {
                base: object,
                name,
                is_safe,
            } => {
                let object = self.eval(*object, base);
                self.member(object, name, *is_safe, span)
            }
            NodeKind::And(operands) => self.connective(operands, false, span, base),
            NodeKind::Or(operands) => self.connective(operands, true, span, base),
            NodeKind::Binary {
                operator,
                left,
                right,
            } => match self.both(*left, *right, base) {
                Ok((left, right)) => self.binary(*operator, left, right, span),
                Err(stop) => stop,
            },
            NodeKind::Not(operand) => {
                let operand = self.eval(*operand, base);
                self.not(operand, span)
            }
            NodeKind::Negate(operand) => {
                let operand = self.eval(*operand, base);
                match operand {
                    Partial::Known(value) => self.done(operator::negate(&value), span),
                    Partial::Unknown(_) => self.opaque_of(&[operand], span),
                    stopped => stopped,
                }
            }
            NodeKind::Ternary {
                condition,
                then,
                otherwise,
            } => self.ternary(*condition, *then, *otherwise, span, base),
            NodeKind::Call { function, arguments } => self.call(*function, arguments, span, base),
            NodeKind::List(elements) => self.list(elements, span, base),
            NodeKind::Map(entries) => self.map(entries, span, base),
            NodeKind::Path(pieces) => self.path(pieces, span, base),
            NodeKind::Index { base: object, index } => match self.both(*object, *index, base) {
                Ok((object, index)) => self.index(object, index, span),
                Err(stop) => stop,
            },
            NodeKind::Slice {
                base: object,
                start,
                end,
            } => self.slice(*object, *start, *end, span, base),
            NodeKind::Builtin { builtin, arguments } => self.builtin(builtin, arguments, span, base),
            NodeKind::Method(call) => self.method_call(call, span, base),
            NodeKind::Quantified {
                base: list,
                quantifier,
                local,
                body,
            } => self.quantified(*list, *quantifier, usize::from(*local), *body, span, base),
            NodeKind::Coalesce { left, right } => self.coalesce(*left, *right, span, base),
            NodeKind::Is { value, wanted } => {
                let value = self.eval(*value, base);
                self.is(value, wanted, span)
            }
            _ => self.leaf(node),
        }
    }

    fn leaf(&mut self, node: &'a Node) -> Partial<'a> {
        Partial::Known(match &node.kind {
            NodeKind::Bool(value) => Value::Bool(*value),
            NodeKind::Int(value) => Value::Int(*value),
            NodeKind::Float(value) => Value::Float(*value),
            NodeKind::String(text) => Value::string(&**text),
            NodeKind::Bytes(bytes) => Value::Bytes(Octets::Borrowed(bytes)),
            NodeKind::Request => return Partial::term(Term::Request),
            NodeKind::Resource => return Partial::term(Term::Document),
            NodeKind::Capture(place) => match self.captures.get(usize::from(*place)) {
                Some(captured) => return captured.clone(),
                None => Value::Null,
            },
            NodeKind::Fail(fault) => return self.fail(fault.clone(), node.span),
            // `null`; all others are in `node`.
            _ => Value::Null,
        })
    }

    /// Two operands, both of which must have a value; otherwise what the whole comes to.
    fn both(
        &mut self,
        left: NodeId,
        right: NodeId,
        base: usize,
    ) -> Result<(Partial<'a>, Partial<'a>), Partial<'a>> {
        let left = self.eval(left, base);
        if matches!(left, Partial::Failed(_)) {
            return Err(left);
        }
        let right = self.eval(right, base);
        match (&left, &right) {
            (left, Partial::Failed(_)) if left.is_certain() => Err(right),
            (_, Partial::Failed(_)) => Err(Partial::failing()),
            (Partial::Needs, _) | (_, Partial::Needs) => Err(Partial::Needs),
            _ => Ok((left, right)),
        }
    }

    /// Operands that all must have a value, in order; otherwise what the whole comes to.
    pub(crate) fn every(
        &mut self,
        nodes: impl IntoIterator<Item = NodeId>,
        base: usize,
    ) -> Result<Partials<'a>, Partial<'a>> {
        let mut values = Partials::new();
        let mut needs = false;
        for node in nodes {
            match self.eval(node, base) {
                Partial::Needs => needs = true,
                failed @ Partial::Failed(_) if values.iter().all(Partial::is_certain) => return Err(failed),
                Partial::Failed(_) => return Err(Partial::failing()),
                value => values.push(value),
            }
        }
        if needs { Err(Partial::Needs) } else { Ok(values) }
    }

    fn not(&mut self, operand: Partial<'a>, span: Span) -> Partial<'a> {
        match self.truth(operand, "!", span) {
            Ok(condition) => self.of_condition(condition::not(&condition)),
            Err(Stop::Error(error)) => Partial::Failed(error),
            Err(Stop::Needs) => Partial::Needs,
        }
    }

    #[inline(never)]
    fn connective(&mut self, operands: &[NodeId], decisive: bool, span: Span, base: usize) -> Partial<'a> {
        let mut parts: SmallVec<[Shared; 4]> = SmallVec::new();
        let mut error = None;
        let mut fails_otherwise = false;
        let mut needs = false;
        for operand in operands {
            let result = self.eval(*operand, base);
            match self.truth(result, if decisive { "||" } else { "&&" }, span) {
                Ok(part) => match part.kind {
                    ConditionKind::Known(truth) if truth == decisive => return Partial::bool(decisive),
                    _ => {
                        fails_otherwise |= matches!(part.kind, ConditionKind::Failed);
                        parts.push(part);
                    }
                },
                Err(Stop::Needs) => needs = true,
                Err(Stop::Error(failed)) => {
                    error = error.or(Some(failed));
                    parts.push(condition::failed());
                }
            }
        }
        if needs {
            return Partial::Needs;
        }
        let joined = if decisive {
            condition::any(parts)
        } else {
            condition::all(parts)
        };
        match (&joined.kind, error) {
            (ConditionKind::Failed, Some(error)) if !fails_otherwise => Partial::Failed(error),
            _ => self.of_condition(joined),
        }
    }

    #[inline(never)]
    fn ternary(
        &mut self,
        condition: NodeId,
        then: NodeId,
        otherwise: NodeId,
        span: Span,
        base: usize,
    ) -> Partial<'a> {
        let condition = self.eval(condition, base);
        let condition = match self.truth(condition, "", span) {
            Ok(condition) => condition,
            Err(Stop::Error(error)) => return Partial::Failed(error),
            Err(Stop::Needs) => return Partial::Needs,
        };
        if let ConditionKind::Known(truth) = condition.kind {
            return self.eval(if truth { then } else { otherwise }, base);
        }
        let (then, otherwise) = (self.eval(then, base), self.eval(otherwise, base));
        let negation = condition::not(&condition);
        self.cases([(condition, then), (negation, otherwise)], span)
    }

    #[inline(never)]
    fn coalesce(&mut self, left: NodeId, right: NodeId, span: Span, base: usize) -> Partial<'a> {
        let left = self.eval(left, base);
        match &left {
            Partial::Known(Value::Null) => self.eval(right, base),
            Partial::Known(_) => left,
            Partial::Failed(error) if error.fault.is_absence() => self.eval(right, base),
            Partial::Failed(_) => left,
            Partial::Needs => {
                let _ = self.eval(right, base);
                Partial::Needs
            }
            Partial::Unknown(term) => match &**term {
                Term::Request | Term::Document | Term::Data | Term::Id | Term::Keys(None) => left,
                Term::Field(field) => {
                    let right = self.eval(right, base);
                    let is_there = term::is_there(&field.path, span);
                    let null =
                        Relation::Equal(super::constant::Forms::These(vec![andiron_protocol::Value::Null]));
                    let is_null = term::field_test(&field.path, null, span);
                    let mut is_absent = condition::any([condition::not(&is_there), Rc::clone(&is_null)]);
                    if field.may_mistype {
                        is_absent =
                            condition::all([is_absent, condition::unclear(condition::known(true), span)]);
                    }
                    self.cases(
                        [(condition::not(&is_null), left.clone()), (is_absent, right)],
                        span,
                    )
                }
                _ => {
                    let right = self.eval(right, base);
                    if matches!(right, Partial::Needs) {
                        return Partial::Needs;
                    }
                    Partial::opaque(condition::known(true))
                }
            },
        }
    }
}
