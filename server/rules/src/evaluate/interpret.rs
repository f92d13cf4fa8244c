//! The straightforward evaluator: a node of the core and what is known of the request, to a value.
//!
//! Values of `let`s and arguments are computed when they are first needed, at most once. A look-up of a document that is
//! not known stops what depends on its value; the rest goes on, to find out what else is needed, and `&&`, `||` may still
//! be decided by their other operands.
//!
//! Every recursion goes through [`Evaluator::eval`], or through the test of a declared type beside it; together they are
//! bounded by [`EVALUATION_DEPTH_MAX`].

use smallvec::SmallVec;

use super::context::Context;
use super::core::{Body, Core, MethodCall, Node, NodeId, NodeKind, PathPiece, Wanted};
use super::fault::{EvaluationError, Fault};
use super::function;
use super::lookup::Lookups;
use super::method::push_part;
use super::observe::Observer;
use super::operator;
use super::request::{Documents, Request};
use super::value::{Object, Octets, Part, Path, Text, Value};
use crate::check::FunctionId;
use crate::language::Builtin;
use crate::limits::Limits;
use crate::source::Span;
use crate::syntax::{BinaryOperator, Quantifier};

/// Levels of expressions being evaluated inside of each other, through calls and bindings. It bounds the stack: the
/// deepest evaluation takes about 1 MiB of it in a debug build.
pub const EVALUATION_DEPTH_MAX: u16 = 320;

/// Why there is no value.
#[derive(Clone, Debug)]
pub(crate) enum Stop {
    Error(Box<EvaluationError>),
    /// It depends on a document that is not known.
    Needs,
}

pub(crate) type Evaluated<'a> = Result<Value<'a>, Stop>;

/// Arguments, elements: few of them, usually.
type Values<'a> = SmallVec<[Value<'a>; 2]>;

/// A variable's value, or how to get it.
#[derive(Clone, Debug)]
enum Slot<'a> {
    /// To be evaluated in the frame that begins here.
    Unevaluated {
        node: NodeId,
        base: usize,
    },
    Evaluated(Evaluated<'a>),
    /// The variable of a quantifier that has not begun.
    Empty,
}

/// The state of judging one request.
pub(crate) struct Evaluator<'a, 'o, O> {
    pub(crate) core: &'a Core,
    pub(crate) request: &'a Request<'a>,
    pub(crate) documents: &'a Documents,
    pub(crate) limits: &'a Limits,
    pub(crate) context: Context<'a>,
    pub(crate) lookups: Lookups,
    /// What the match being tried captures.
    pub(crate) captures: Vec<Value<'a>>,
    /// The bindings of that match, and their values as far as they are known.
    lets: &'a [Body],
    let_values: Vec<Option<Evaluated<'a>>>,
    /// The locals of all frames, one frame after the other.
    locals: Vec<Slot<'a>>,
    expressions: u32,
    calls: u16,
    /// How deep the recursion is; see [`EVALUATION_DEPTH_MAX`].
    pub(crate) depth: u16,
    pub(crate) observer: &'o mut O,
}

impl<'a, 'o, O: Observer> Evaluator<'a, 'o, O> {
    pub(crate) fn new(
        core: &'a Core,
        request: &'a Request<'a>,
        documents: &'a Documents,
        limits: &'a Limits,
        context: Context<'a>,
        lookups: Lookups,
        observer: &'o mut O,
    ) -> Self {
        Self {
            core,
            request,
            documents,
            limits,
            context,
            lookups,
            captures: Vec::new(),
            lets: &[],
            let_values: Vec::new(),
            locals: Vec::new(),
            expressions: 0,
            calls: 0,
            depth: 0,
            observer,
        }
    }

    /// Begins with another match, whose bindings these are.
    pub(crate) fn enter_match(&mut self, lets: &'a [Body]) {
        self.lets = lets;
        self.let_values.clear();
        self.let_values.resize(lets.len(), None);
    }

    /// Evaluates an expression in a new frame whose first locals these are.
    pub(crate) fn body(&mut self, body: Body, locals: impl IntoIterator<Item = Value<'a>>) -> Evaluated<'a> {
        let base = self.locals.len();
        self.locals
            .extend(locals.into_iter().map(|local| Slot::Evaluated(Ok(local))));
        self.locals.resize(base + usize::from(body.locals), Slot::Empty);
        let result = self.eval(body.node, base);
        self.locals.truncate(base);
        result
    }

    pub(crate) fn fail<T>(&self, fault: Fault, span: Span) -> Result<T, Stop> {
        // A limit that is met only because the evaluation goes on beyond an unknown document is none.
        let is_limit = matches!(
            fault,
            Fault::ExpressionsMax(_) | Fault::LookupsMax(_) | Fault::ValueBytesMax(_)
        );
        if is_limit && self.lookups.needs_some() {
            return Err(Stop::Needs);
        }
        Err(Stop::Error(Box::new(EvaluationError { fault, span })))
    }

    /// Evaluates an expression in the frame that begins at `base`.
    pub(crate) fn eval(&mut self, id: NodeId, base: usize) -> Evaluated<'a> {
        let node = self.core.node(id);
        if self.expressions >= self.limits.expressions_max {
            return self.fail(Fault::ExpressionsMax(self.limits.expressions_max), node.span);
        }
        if self.depth >= EVALUATION_DEPTH_MAX {
            return self.fail(Fault::DepthMax(EVALUATION_DEPTH_MAX), node.span);
        }
        self.expressions += 1;
        self.depth += 1;
        let result = self.node(node, base);
        if O::WATCHES {
            self.observer
                .evaluated(node, self.depth, &result, self.context.database);
        }
        self.depth -= 1;
        result
    }

    fn node(&mut self, node: &'a Node, base: usize) -> Evaluated<'a> {
        // Every arm is one call, so that a level of recursion takes no more stack than its own kind of node needs.
        let span = node.span;
        match &node.kind {
            NodeKind::Local(place) => self.local(base + usize::from(*place), span),
            NodeKind::MatchLet(place) => self.match_let(usize::from(*place), span),
            NodeKind::Member {
                base: object,
                name,
                is_safe,
            } => self.member(*object, name, *is_safe, span, base),
            NodeKind::And(operands) => self.connective(operands, false, span, base),
            NodeKind::Or(operands) => self.connective(operands, true, span, base),
            NodeKind::Binary {
                operator,
                left,
                right,
            } => self.strict(*operator, *left, *right, span, base),
            NodeKind::Not(operand) => self.not(*operand, span, base),
            NodeKind::Negate(operand) => self.negate(*operand, span, base),
            NodeKind::Ternary {
                condition,
                then,
                otherwise,
            } => self.ternary(*condition, *then, *otherwise, span, base),
            NodeKind::Call { function, arguments } => self.call(*function, arguments, span, base),
            NodeKind::List(elements) => self.list(elements, span, base),
            NodeKind::Map(entries) => self.map(entries, span, base),
            NodeKind::Path(pieces) => self.path(pieces, span, base),
            NodeKind::Index { base: object, index } => self.index(*object, *index, span, base),
            NodeKind::Slice {
                base: object,
                start,
                end,
            } => self.slice(*object, *start, *end, span, base),
            NodeKind::Builtin { builtin, arguments } => self.builtin(builtin, arguments, span, base),
            NodeKind::Method(call) => self.method(call, span, base),
            NodeKind::Quantified {
                base: list,
                quantifier,
                local,
                body,
            } => self.quantified(*list, *quantifier, usize::from(*local), *body, span, base),
            NodeKind::Coalesce { left, right } => self.coalesce(*left, *right, base),
            NodeKind::Is { value, wanted } => self.is(*value, wanted, span, base),
            _ => self.leaf(node),
        }
    }

    /// What has nothing inside.
    fn leaf(&self, node: &'a Node) -> Evaluated<'a> {
        Ok(match &node.kind {
            NodeKind::Bool(value) => Value::Bool(*value),
            NodeKind::Int(value) => Value::Int(*value),
            NodeKind::Float(value) => Value::Float(*value),
            NodeKind::String(text) => Value::string(&**text),
            NodeKind::Bytes(bytes) => Value::Bytes(Octets::Borrowed(bytes)),
            NodeKind::Request => Value::Object(Object::Request(self.request)),
            NodeKind::Resource => self.request.resource_of(self.request.before),
            NodeKind::Capture(place) => match self.captures.get(usize::from(*place)) {
                Some(captured) => captured.clone(),
                None => Value::Null,
            },
            NodeKind::Fail(fault) => return self.fail(fault.clone(), node.span),
            // `null`; all others are in `node`.
            _ => Value::Null,
        })
    }

    #[inline(never)]
    fn not(&mut self, operand: NodeId, span: Span, base: usize) -> Evaluated<'a> {
        let operand = self.eval(operand, base)?;
        match operator::truth(&operand, "!") {
            Ok(truth) => Ok(Value::Bool(!truth)),
            Err(fault) => self.fail(fault, span),
        }
    }

    #[inline(never)]
    fn negate(&mut self, operand: NodeId, span: Span, base: usize) -> Evaluated<'a> {
        let operand = self.eval(operand, base)?;
        self.done(operator::negate(&operand), span)
    }

    #[inline(never)]
    fn ternary(
        &mut self,
        condition: NodeId,
        then: NodeId,
        otherwise: NodeId,
        span: Span,
        base: usize,
    ) -> Evaluated<'a> {
        let condition = self.eval(condition, base)?;
        match operator::truth(&condition, "") {
            Ok(true) => self.eval(then, base),
            Ok(false) => self.eval(otherwise, base),
            Err(fault) => self.fail(fault, span),
        }
    }

    #[inline(never)]
    fn list(&mut self, elements: &[NodeId], span: Span, base: usize) -> Evaluated<'a> {
        let elements = self.all(elements, base)?;
        self.reserve(elements.len(), span)?;
        self.done(Value::list(elements.into_vec()), span)
    }

    #[inline(never)]
    fn index(&mut self, object: NodeId, index: NodeId, span: Span, base: usize) -> Evaluated<'a> {
        let (object, index) = self.both(object, index, base)?;
        let result = operator::index(&object, &index, &mut self.context);
        self.done(result, span)
    }

    #[inline(never)]
    fn builtin(
        &mut self,
        builtin: &'static Builtin,
        arguments: &[NodeId],
        span: Span,
        base: usize,
    ) -> Evaluated<'a> {
        let arguments = self.all(arguments, base)?;
        if builtin.id.is_lookup() {
            return self.look_up(builtin, &arguments, span);
        }
        let result = function::call(builtin, &arguments, &mut self.context);
        self.done(result, span)
    }

    #[inline(never)]
    fn coalesce(&mut self, left: NodeId, right: NodeId, base: usize) -> Evaluated<'a> {
        match self.eval(left, base) {
            Ok(Value::Null) => self.eval(right, base),
            Err(Stop::Error(error)) if error.fault.is_absence() => self.eval(right, base),
            Err(Stop::Needs) => {
                let _ = self.eval(right, base);
                Err(Stop::Needs)
            }
            result => result,
        }
    }

    #[inline(never)]
    fn is(&mut self, value: NodeId, wanted: &Wanted, span: Span, base: usize) -> Evaluated<'a> {
        let value = self.eval(value, base)?;
        match wanted {
            Wanted::Kinds(kinds) => Ok(Value::Bool(kinds.has(value.kind()))),
            Wanted::Type(id) => Ok(Value::Bool(self.conforms(&value, *id, span)?.is_ok())),
        }
    }

    /// A result of something that knows no spans.
    fn done(&self, result: Result<Value<'a>, Fault>, span: Span) -> Evaluated<'a> {
        match result.and_then(|value| self.context.check().map(|()| value)) {
            Ok(value) => Ok(value),
            Err(fault) => self.fail(fault, span),
        }
    }

    fn reserve(&mut self, values: usize, span: Span) -> Result<(), Stop> {
        match self.context.reserve(values * size_of::<Value<'_>>()) {
            Ok(()) => Ok(()),
            Err(fault) => self.fail(fault, span),
        }
    }

    #[inline(never)]
    fn strict(
        &mut self,
        operator: BinaryOperator,
        left: NodeId,
        right: NodeId,
        span: Span,
        base: usize,
    ) -> Evaluated<'a> {
        let (left, right) = self.both(left, right, base)?;
        let result = operator::binary(operator, &left, &right, &mut self.context);
        self.done(result, span)
    }

    #[inline(never)]
    fn member(
        &mut self,
        object: NodeId,
        name: &str,
        is_safe: bool,
        span: Span,
        base: usize,
    ) -> Evaluated<'a> {
        match self.eval(object, base)?.member(name) {
            Ok(value) => Ok(value),
            Err(Fault::Null | Fault::UndefinedProperty(_)) if is_safe => Ok(Value::Null),
            Err(fault) => self.fail(fault, span),
        }
    }

    /// Two operands, both of which must have a value. The second is evaluated too if the first depends on an unknown
    /// document, for the sake of the documents that it needs.
    fn both(&mut self, left: NodeId, right: NodeId, base: usize) -> Result<(Value<'a>, Value<'a>), Stop> {
        match self.eval(left, base) {
            Ok(left) => Ok((left, self.eval(right, base)?)),
            Err(Stop::Needs) => {
                let _ = self.eval(right, base);
                Err(Stop::Needs)
            }
            Err(error) => Err(error),
        }
    }

    /// Operands that all must have a value, in order.
    fn all(&mut self, nodes: &[NodeId], base: usize) -> Result<Values<'a>, Stop> {
        let mut values = Values::new();
        let mut needs = false;
        for node in nodes {
            match self.eval(*node, base) {
                Ok(value) => values.push(value),
                Err(Stop::Needs) => needs = true,
                Err(error) if !needs => return Err(error),
                Err(_) => {}
            }
        }
        if needs { Err(Stop::Needs) } else { Ok(values) }
    }

    /// `&&`, decided by false, or `||`, decided by true. An operand that decides absorbs what failed before it.
    #[inline(never)]
    fn connective(&mut self, operands: &[NodeId], decisive: bool, span: Span, base: usize) -> Evaluated<'a> {
        let mut failed = None;
        let mut needs = false;
        for operand in operands {
            let result = self.eval(*operand, base);
            match self.truth(result, if decisive { "||" } else { "&&" }, span) {
                Ok(truth) if truth == decisive => return Ok(Value::Bool(decisive)),
                Ok(_) => {}
                Err(Stop::Needs) => needs = true,
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        if needs {
            return Err(Stop::Needs);
        }
        match failed {
            Some(error) => Err(error),
            None => Ok(Value::Bool(!decisive)),
        }
    }

    /// A result that must be a bool.
    fn truth(&self, result: Evaluated<'a>, operator: &str, span: Span) -> Result<bool, Stop> {
        match result? {
            Value::Bool(truth) => Ok(truth),
            Value::Null => self.fail(Fault::Null, span),
            other => {
                let gap = if operator.is_empty() { "" } else { " " };
                let received = format!("{operator}{gap}{}", other.type_name());
                self.fail(Fault::unsupported(received, format!("{operator}{gap}bool")), span)
            }
        }
    }

    #[inline(never)]
    fn local(&mut self, place: usize, span: Span) -> Evaluated<'a> {
        match &self.locals[place] {
            Slot::Evaluated(result) => result.clone(),
            Slot::Unevaluated { node, base } => {
                let (node, base) = (*node, *base);
                let result = self.eval(node, base);
                self.locals[place] = Slot::Evaluated(result.clone());
                result
            }
            Slot::Empty => self.fail(Fault::Syntax, span),
        }
    }

    /// A binding of a match. One that calls a function that reads it is stopped by the limit on calls.
    #[inline(never)]
    fn match_let(&mut self, place: usize, span: Span) -> Evaluated<'a> {
        let Some(body) = self.lets.get(place).copied() else {
            return self.fail(Fault::Syntax, span);
        };
        if let Some(result) = &self.let_values[place] {
            return result.clone();
        }
        let result = self.body(body, []);
        self.let_values[place] = Some(result.clone());
        result
    }

    #[inline(never)]
    fn call(&mut self, function: FunctionId, arguments: &[NodeId], span: Span, base: usize) -> Evaluated<'a> {
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
        let result = self.eval(function.body.node, frame);
        self.calls -= 1;
        self.locals.truncate(frame);
        result
    }

    /// An argument, to be evaluated when it is needed; one that is already known is handed on.
    fn argument(&self, node: NodeId, base: usize) -> Slot<'a> {
        if let NodeKind::Local(place) = self.core.node(node).kind
            && let known @ Slot::Evaluated(_) = &self.locals[base + usize::from(place)]
        {
            return known.clone();
        }
        Slot::Unevaluated { node, base }
    }

    #[inline(never)]
    fn map(&mut self, entries: &[(NodeId, NodeId)], span: Span, base: usize) -> Evaluated<'a> {
        let nodes: SmallVec<[NodeId; 8]> = entries.iter().flat_map(|(key, value)| [*key, *value]).collect();
        let values = self.all(&nodes, base)?;
        self.reserve(values.len(), span)?;
        self.done(operator::map_of(values), span)
    }

    #[inline(never)]
    fn path(&mut self, pieces: &'a [PathPiece], span: Span, base: usize) -> Evaluated<'a> {
        let mut parts = Vec::with_capacity(pieces.len());
        let mut needs = false;
        for piece in pieces {
            match piece {
                PathPiece::Literal(text) => parts.push(Part::Segment(Text::Borrowed(text))),
                PathPiece::Placeholder { name, is_glob } => parts.push(Part::Placeholder {
                    name: Text::Borrowed(name),
                    is_glob: *is_glob,
                }),
                PathPiece::Value(value) => match self.eval(*value, base) {
                    Ok(value) => {
                        if let Err(fault) = push_part(&value, &mut parts, &mut self.context) {
                            return self.fail(fault, span);
                        }
                    }
                    Err(Stop::Needs) => needs = true,
                    Err(error) if !needs => return Err(error),
                    Err(_) => {}
                },
            }
        }
        if needs {
            return Err(Stop::Needs);
        }
        self.reserve(parts.len(), span)?;
        Ok(Value::Path(Path::Built(parts.into())))
    }

    #[inline(never)]
    fn slice(
        &mut self,
        object: NodeId,
        start: Option<NodeId>,
        end: Option<NodeId>,
        span: Span,
        base: usize,
    ) -> Evaluated<'a> {
        let nodes: SmallVec<[NodeId; 3]> = [Some(object), start, end].into_iter().flatten().collect();
        let mut values = self.all(&nodes, base)?.into_iter();
        let Some(object) = values.next() else {
            return self.fail(Fault::Syntax, span);
        };
        let start = start.and_then(|_| values.next());
        let end = end.and_then(|_| values.next());
        let result = operator::slice(&object, start.as_ref(), end.as_ref(), &mut self.context);
        self.done(result, span)
    }

    #[inline(never)]
    fn method(&mut self, call: &'a MethodCall, span: Span, base: usize) -> Evaluated<'a> {
        let object = match self.eval(call.base, base) {
            Ok(Value::Null) if call.is_safe => return Ok(Value::Null),
            Ok(object) => object,
            Err(Stop::Needs) => {
                let _ = self.all(&call.arguments, base);
                return Err(Stop::Needs);
            }
            Err(error) => return Err(error),
        };
        let arguments = self.all(&call.arguments, base)?;
        // A pattern that is none is an error only of a value that has the method.
        let pattern = match &call.pattern {
            Some(Ok(pattern)) => Some(pattern),
            Some(Err(fault)) if matches!(object, Value::String(_)) => {
                return self.fail(fault.clone(), span);
            }
            _ => None,
        };
        let result = call
            .methods
            .call(&call.name, &object, &arguments, pattern, &mut self.context);
        self.done(result, span)
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
    ) -> Evaluated<'a> {
        let list = self.eval(list, base)?;
        let Some(elements) = list.elements() else {
            return self.fail(not_a_list(&list, quantifier), span);
        };
        let decisive = match quantifier {
            Quantifier::All => Some(false),
            Quantifier::Any => Some(true),
            Quantifier::Map => None,
        };
        let (mut mapped, mut failed, mut needs) = (Vec::new(), None, false);
        for element in elements.iter() {
            self.locals[base + local] = Slot::Evaluated(Ok(element));
            let result = self.eval(body, base);
            match decisive {
                Some(decisive) => match self.truth(result, "", span) {
                    Ok(truth) if truth == decisive => return Ok(Value::Bool(decisive)),
                    Ok(_) => {}
                    Err(Stop::Needs) => needs = true,
                    Err(error) => failed = failed.or(Some(error)),
                },
                None => match result {
                    Ok(value) => mapped.push(value),
                    Err(Stop::Needs) => needs = true,
                    Err(error) if !needs => return Err(error),
                    Err(_) => {}
                },
            }
        }
        match (needs, failed, decisive) {
            (true, ..) => Err(Stop::Needs),
            (_, Some(error), _) => Err(error),
            (.., Some(decisive)) => Ok(Value::Bool(!decisive)),
            (.., None) => {
                self.reserve(mapped.len(), span)?;
                self.done(Value::list(mapped), span)
            }
        }
    }

    /// The condition of an `allow`, which must be a bool; without one it is true.
    pub(crate) fn condition(&mut self, condition: Option<Body>) -> Evaluated<'a> {
        let Some(body) = condition else {
            return Ok(Value::Bool(true));
        };
        let result = self.body(body, []);
        let span = self.core.node(body.node).span;
        self.truth(result, "if", span).map(Value::Bool)
    }
}

/// What is wrong with a value that `all`, `any` or `map` cannot go through.
pub(crate) fn not_a_list(value: &Value<'_>, quantifier: Quantifier) -> Fault {
    if matches!(value, Value::Null) {
        return Fault::Null;
    }
    let name = quantifier.as_str();
    Fault::unsupported(
        format!("{}.{name}(…)", value.type_name()),
        format!("list.{name}(…)"),
    )
}
