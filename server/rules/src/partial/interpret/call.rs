//! Names and what is called: variables and how far down their evaluation reached, functions, look-ups, methods, and
//! quantifiers over a list.

use smallvec::SmallVec;

use super::{Interpreter, Reach, Slot, Stop};
use crate::check::FunctionId;
use crate::evaluate::core::{MethodCall, NodeId, NodeKind};
use crate::evaluate::interpret::not_a_list;
use crate::evaluate::value::Value;
use crate::evaluate::{EVALUATION_DEPTH_MAX, Fault, function};
use crate::language::{Builtin, BuiltinId, Kind, Kinds};
use crate::partial::condition::ConditionKind;
use crate::partial::term::{Partial, Term};
use crate::partial::test::Relation;
use crate::partial::{condition, term};
use crate::source::Span;
use crate::syntax::{Quantifier, ServiceKind};

impl<'a> Interpreter<'a> {
    #[inline(never)]
    pub(super) fn local(&mut self, place: usize, span: Span) -> Partial<'a> {
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
    pub(super) fn match_let(&mut self, place: usize, span: Span) -> Partial<'a> {
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
    pub(super) fn call(
        &mut self,
        function: FunctionId,
        arguments: &[NodeId],
        span: Span,
        base: usize,
    ) -> Partial<'a> {
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
    pub(super) fn builtin(
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
    pub(super) fn method_call(&mut self, call: &'a MethodCall, span: Span, base: usize) -> Partial<'a> {
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
    pub(super) fn quantified(
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
