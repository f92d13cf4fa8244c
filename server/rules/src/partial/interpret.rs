//! The partial evaluator: a node of the core and what is known of a list, to what the node comes to for its documents.
//!
//! A second walk over the core beside the straightforward one, in the same order and with the same laziness. What is known
//! is computed by the same functions; `relate` and `method` say what operators and methods make of what is not.
//! Where a branch depends on the document both ways are walked, so that nothing is evaluated for one document that is not
//! evaluated here, but for what [`Interpreter::is_metered`] says.
//!
//! A limit that is met here is no failure: for one document it may not be met. What it keeps from being evaluated is not
//! known.

use std::rc::Rc;

use smallvec::SmallVec;

use super::condition::{self, ConditionKind, Shared};
use super::facts::Facts;
use super::matching::Captured;
use super::term::{self, Partial, Term};
use super::test::Relation;
use crate::check::FunctionId;
use crate::evaluate::context::Context;
use crate::evaluate::core::{Body, Core, MethodCall, Node, NodeId, NodeKind, PathPiece};
use crate::evaluate::interpret::not_a_list;
use crate::evaluate::lookup::Lookups;
use crate::evaluate::method::push_part;
use crate::evaluate::value::{Octets, Part, Path, Text, Value};
use crate::evaluate::{Documents, EVALUATION_DEPTH_MAX, EvaluationError, Fault, Request, function, operator};
use crate::language::{Builtin, BuiltinId, Kind, Kinds};
use crate::limits::Limits;
use crate::source::Span;
use crate::syntax::{Quantifier, ServiceKind};

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

    #[inline(never)]
    fn list(&mut self, elements: &[NodeId], span: Span, base: usize) -> Partial<'a> {
        match self.every(elements.iter().copied(), base) {
            Ok(elements) => self.make_list(elements.into_vec(), span),
            Err(stopped) => stopped,
        }
    }

    /// A list of these.
    fn make_list(&mut self, elements: Vec<Partial<'a>>, span: Span) -> Partial<'a> {
        self.context.spend(elements.len() * size_of::<Value<'_>>());
        let known: Option<Vec<Value<'a>>> = elements
            .iter()
            .map(|element| match element {
                Partial::Known(value) => Some(value.clone()),
                _ => None,
            })
            .collect();
        match known {
            Some(values) => self.done(Value::list(values), span),
            None => Partial::list(elements),
        }
    }

    #[inline(never)]
    fn map(&mut self, entries: &[(NodeId, NodeId)], span: Span, base: usize) -> Partial<'a> {
        let nodes = entries.iter().flat_map(|(key, value)| [*key, *value]);
        let values = match self.every(nodes, base) {
            Ok(values) => values,
            Err(stopped) => return stopped,
        };
        let known: Option<Vec<Value<'a>>> = values
            .iter()
            .map(|value| match value {
                Partial::Known(value) => Some(value.clone()),
                _ => None,
            })
            .collect();
        match known {
            Some(values) => {
                self.context.spend(values.len() * size_of::<Value<'_>>());
                self.done(operator::map_of(values), span)
            }
            None => self.opaque_of(&values, span),
        }
    }

    #[inline(never)]
    fn path(&mut self, pieces: &'a [PathPiece], span: Span, base: usize) -> Partial<'a> {
        let nodes = pieces.iter().filter_map(|piece| match piece {
            PathPiece::Value(value) => Some(*value),
            _ => None,
        });
        let values = match self.every(nodes, base) {
            Ok(values) => values,
            Err(stopped) => return stopped,
        };
        if values.iter().any(|value| matches!(value, Partial::Unknown(_))) {
            return self.opaque_of(&values, span);
        }
        let mut values = values.into_iter();
        let mut parts = Vec::with_capacity(pieces.len());
        for piece in pieces {
            match piece {
                PathPiece::Literal(text) => parts.push(Part::Segment(Text::Borrowed(text))),
                PathPiece::Placeholder { name, is_glob } => parts.push(Part::Placeholder {
                    name: Text::Borrowed(name),
                    is_glob: *is_glob,
                }),
                PathPiece::Value(_) => {
                    let Some(Partial::Known(value)) = values.next() else {
                        continue;
                    };
                    if let Err(fault) = push_part(&value, &mut parts, &mut self.context) {
                        return self.fail(fault, span);
                    }
                }
            }
        }
        self.context.spend(parts.len() * size_of::<Value<'_>>());
        self.done(Ok(Value::Path(Path::Built(parts.into()))), span)
    }

    #[inline(never)]
    fn slice(
        &mut self,
        object: NodeId,
        start: Option<NodeId>,
        end: Option<NodeId>,
        span: Span,
        base: usize,
    ) -> Partial<'a> {
        let nodes = [Some(object), start, end].into_iter().flatten();
        let values = match self.every(nodes, base) {
            Ok(values) => values,
            Err(stopped) => return stopped,
        };
        let mut known = SmallVec::<[&Value<'a>; 3]>::new();
        for value in &values {
            match value {
                Partial::Known(value) => known.push(value),
                _ => return self.opaque_of(&values, span),
            }
        }
        let mut known = known.into_iter();
        let Some(object) = known.next() else {
            return self.fail(Fault::Syntax, span);
        };
        let start = start.and_then(|_| known.next());
        let end = end.and_then(|_| known.next());
        let result = operator::slice(object, start, end, &mut self.context);
        self.done(result, span)
    }

    #[inline(never)]
    fn local(&mut self, place: usize, span: Span) -> Partial<'a> {
        match &self.locals[place] {
            Slot::Evaluated(result, reach) => {
                let (result, reach) = (result.clone(), *reach);
                self.reach_again(reach);
                result
            }
            Slot::Unevaluated { node, base } => {
                let (node, base) = (*node, *base);
                let (result, reach) = self.measured(|this| this.eval(node, base));
                self.locals[place] = Slot::Evaluated(result.clone(), reach);
                result
            }
            Slot::Empty => self.fail(Fault::Syntax, span),
        }
    }

    #[inline(never)]
    fn match_let(&mut self, place: usize, span: Span) -> Partial<'a> {
        let Some(body) = self.lets.get(place).copied() else {
            return self.fail(Fault::Syntax, span);
        };
        if let Some((result, reach)) = self.let_values[place].clone() {
            self.reach_again(reach);
            return result;
        }
        let (result, reach) = self.measured(|this| this.body(body));
        self.let_values[place] = Some((result.clone(), reach));
        result
    }

    /// Evaluates something, and says how far down that went from here.
    fn measured(&mut self, evaluate: impl FnOnce(&mut Self) -> Partial<'a>) -> (Partial<'a>, Reach) {
        let before = self.deepest;
        let (calls, depth) = (self.calls, self.depth);
        self.deepest = Reach { calls, depth };
        let result = evaluate(self);
        let reach = Reach {
            calls: self.deepest.calls - calls,
            depth: self.deepest.depth - depth,
        };
        self.deepest.calls = self.deepest.calls.max(before.calls);
        self.deepest.depth = self.deepest.depth.max(before.depth);
        (result, reach)
    }

    /// Something that was evaluated before is asked for here.
    fn reach_again(&mut self, reach: Reach) {
        let (calls, depth) = (self.calls + reach.calls, self.depth + reach.depth);
        self.deepest.calls = self.deepest.calls.max(calls);
        self.deepest.depth = self.deepest.depth.max(depth);
        if calls > self.limits.call_depth_max || depth > EVALUATION_DEPTH_MAX {
            self.is_metered = false;
        }
    }

    #[inline(never)]
    fn call(&mut self, function: FunctionId, arguments: &[NodeId], span: Span, base: usize) -> Partial<'a> {
        if self.calls >= self.limits.call_depth_max {
            return self.fail(Fault::CallDepthMax(self.limits.call_depth_max), span);
        }
        let function = &self.core.functions[function.0 as usize];
        let frame = self.locals.len();
        for argument in arguments {
            let slot = self.argument(*argument, base);
            self.locals.push(slot);
        }
        for binding in &function.lets {
            self.locals.push(Slot::Unevaluated {
                node: *binding,
                base: frame,
            });
        }
        self.locals
            .resize(frame + usize::from(function.body.locals), Slot::Empty);
        self.calls += 1;
        self.deepest.calls = self.deepest.calls.max(self.calls);
        let result = self.eval(function.body.node, frame);
        self.calls -= 1;
        self.locals.truncate(frame);
        result
    }

    fn argument(&self, node: NodeId, base: usize) -> Slot<'a> {
        if let NodeKind::Local(place) = self.core.node(node).kind
            && let known @ Slot::Evaluated(..) = &self.locals[base + usize::from(place)]
        {
            return known.clone();
        }
        Slot::Unevaluated { node, base }
    }

    #[inline(never)]
    fn builtin(
        &mut self,
        builtin: &'static Builtin,
        arguments: &[NodeId],
        span: Span,
        base: usize,
    ) -> Partial<'a> {
        let values = match self.every(arguments.iter().copied(), base) {
            Ok(values) => values,
            Err(stopped) => return stopped,
        };
        let mut known = SmallVec::<[Value<'a>; 2]>::new();
        for value in &values {
            match value {
                Partial::Known(value) => known.push(value.clone()),
                _ if builtin.id == BuiltinId::Debug && values.len() == 1 => return value.clone(),
                _ => {
                    if builtin.id.is_lookup() && !self.lookups.count_unknown() {
                        return self.give_up();
                    }
                    return self.opaque_of(&values, span);
                }
            }
        }
        if builtin.id.is_lookup() {
            return self.look_up(builtin, &known, span);
        }
        let result = function::call(builtin, &known, &mut self.context);
        self.done(result, span)
    }

    /// A look-up of a document that is no document of the list, or is the same as it was before.
    fn look_up(&mut self, builtin: &'static Builtin, arguments: &[Value<'a>], span: Span) -> Partial<'a> {
        let path = crate::evaluate::lookup::resolve(
            builtin,
            arguments,
            ServiceKind::Firestore,
            self.context.database,
            &mut self.lookups,
        );
        let path = match path {
            Ok(path) => path,
            Err(fault) => return self.fail(fault, span),
        };
        let is_after = matches!(builtin.id, BuiltinId::GetAfter | BuiltinId::ExistsAfter);
        let after = if is_after {
            self.documents.find_after(&path)
        } else {
            None
        };
        let Some(found) = after.or_else(|| self.documents.find(&path)) else {
            self.lookups.need(path);
            return Partial::Needs;
        };
        let result =
            crate::evaluate::lookup::found_value(builtin, &path, found, self.limits, self.context.database);
        self.done(result, span)
    }

    #[inline(never)]
    fn method_call(&mut self, call: &'a MethodCall, span: Span, base: usize) -> Partial<'a> {
        let object = match self.eval(call.base, base) {
            Partial::Known(Value::Null) if call.is_safe => return Partial::Known(Value::Null),
            failed @ Partial::Failed(_) => return failed,
            object => object,
        };
        let arguments = match self.every(call.arguments.iter().copied(), base) {
            Ok(arguments) => arguments,
            // A safe call of null does not look at its arguments.
            Err(Partial::Failed(_) | Partial::Unknown(_))
                if call.is_safe && matches!(object, Partial::Unknown(_)) =>
            {
                return self.opaque_of(&[object], span);
            }
            Err(Partial::Failed(_)) if !object.is_certain() => return Partial::failing(),
            Err(stopped) => return stopped,
        };
        if matches!(object, Partial::Needs) {
            return Partial::Needs;
        }
        self.method(call, object, &arguments, span)
    }

    #[inline(never)]
    fn quantified(
        &mut self,
        list: NodeId,
        quantifier: Quantifier,
        local: usize,
        body: NodeId,
        span: Span,
        base: usize,
    ) -> Partial<'a> {
        let list = self.eval(list, base);
        let elements: Vec<Partial<'a>> = match &list {
            Partial::Failed(_) | Partial::Needs => return list,
            Partial::Known(value) => match value.elements() {
                Some(elements) => elements.iter().map(Partial::Known).collect(),
                None => {
                    let fault = not_a_list(value, quantifier);
                    return self.fail(fault, span);
                }
            },
            Partial::Unknown(term) => match &**term {
                Term::List(elements, _) => elements.clone(),
                Term::Field(field) => {
                    self.is_metered = false;
                    let is_list = Relation::Is(Kinds::only(Kind::List));
                    return Partial::opaque(term::field_test(&field.path, is_list, span));
                }
                _ => {
                    self.is_metered = false;
                    return self.opaque_of(&[list], span);
                }
            },
        };
        let list_is_defined = list.is_defined(span);
        let decisive = match quantifier {
            Quantifier::All => Some(false),
            Quantifier::Any => Some(true),
            Quantifier::Map => None,
        };
        let (mut mapped, mut parts, mut error, mut needs) = (Vec::new(), Vec::new(), None, false);
        let mut fails_otherwise = false;
        for element in elements {
            self.locals[base + local] = Slot::Evaluated(element, Reach::default());
            let result = self.eval(body, base);
            let Some(decisive) = decisive else {
                match result {
                    Partial::Needs => needs = true,
                    failed @ Partial::Failed(_)
                        if list.is_certain() && mapped.iter().all(Partial::is_certain) =>
                    {
                        return failed;
                    }
                    Partial::Failed(_) => return Partial::failing(),
                    value => mapped.push(value),
                }
                continue;
            };
            match self.truth(result, "", span) {
                Ok(part) => {
                    let is_decided = matches!(part.kind, ConditionKind::Known(truth) if truth == decisive);
                    fails_otherwise |= matches!(part.kind, ConditionKind::Failed);
                    parts.push(part);
                    if is_decided {
                        needs = false;
                        break;
                    }
                }
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
        let Some(decisive) = decisive else {
            let mapped = self.make_list(mapped, span);
            return self.cases([(list_is_defined, mapped)], span);
        };
        let joined = if decisive {
            condition::any(parts)
        } else {
            condition::all(parts)
        };
        match (&joined.kind, error) {
            (ConditionKind::Failed, Some(error)) if !fails_otherwise && list.is_certain() => {
                Partial::Failed(error)
            }
            _ => {
                let joined = condition::choice([(list_is_defined, joined)]);
                self.of_condition(joined)
            }
        }
    }
}
