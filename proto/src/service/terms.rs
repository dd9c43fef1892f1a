//! Which Services are ours: by type, class, namespace and annotation.

use std::fmt;

use super::written::{IGNORE, Written};

/// On which terms a Service is ours.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Terms {
    /// Our `loadBalancerClass`; `None`: no class is ours.
    pub class: Option<String>,
    /// Whether those that name no class are ours as well.
    pub classless: Classless,
    /// The only namespace whose Services are ours; `None`: all are.
    pub namespace: Option<String>,
}

/// What becomes of Services without `loadBalancerClass`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Classless {
    /// They are ours: kube-vip's `lb_class_legacy_handling`.
    Ours,
    /// They are not: `lb_class_only`.
    Foreign,
}

/// Whether a Service is ours, and why.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Ownership {
    /// It is.
    Ours(Because),
    /// It is not.
    Foreign(NotOurs),
}

/// Why a Service is ours.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Because {
    /// It names our class.
    Class,
    /// It names none.
    NoClass,
}

/// Why a Service is not ours.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum NotOurs {
    /// It is of another type.
    NotLoadBalancer,
    /// It is being deleted; whoever has a finalizer on it does not need the address.
    Deleting,
    /// `kube-vip.io/ignore`.
    Ignored,
    /// In a namespace that is not ours.
    Namespace,
    /// Of this class, which is not ours.
    Class(String),
    /// Without a class, and those are not ours.
    NoClass,
}

impl Default for Terms {
    /// As kube-vip has it.
    fn default() -> Self {
        Self {
            class: Some("kube-vip.io/kube-vip-class".to_owned()),
            classless: Classless::Ours,
            namespace: None,
        }
    }
}

impl Terms {
    /// Whether a Service is ours, and why.
    #[must_use]
    pub fn ownership(&self, service: &Written) -> Ownership {
        match self.refusal(service) {
            Some(why) => Ownership::Foreign(why),
            None if service.load_balancer_class.is_some() => Ownership::Ours(Because::Class),
            None => Ownership::Ours(Because::NoClass),
        }
    }

    fn refusal(&self, service: &Written) -> Option<NotOurs> {
        if service.service_type != "LoadBalancer" {
            return Some(NotOurs::NotLoadBalancer);
        }
        if self.namespace.as_ref().is_some_and(|ours| **ours != *service.key.namespace) {
            return Some(NotOurs::Namespace);
        }
        match &service.load_balancer_class {
            Some(class) if Some(class) != self.class.as_ref() => return Some(NotOurs::Class(class.clone())),
            None if self.classless == Classless::Foreign => return Some(NotOurs::NoClass),
            Some(_) | None => {}
        }
        if service.says(IGNORE) {
            return Some(NotOurs::Ignored);
        }
        service.deleting.then_some(NotOurs::Deleting)
    }
}

impl Ownership {
    /// Whether it is ours.
    #[must_use]
    pub const fn is_ours(&self) -> bool {
        matches!(self, Self::Ours(_))
    }
}

impl fmt::Display for Ownership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ours(Because::Class) => f.write_str("its class is ours"),
            Self::Ours(Because::NoClass) => f.write_str("it names no class"),
            Self::Foreign(why) => why.fmt(f),
        }
    }
}

impl fmt::Display for NotOurs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotLoadBalancer => f.write_str("not of type LoadBalancer"),
            Self::Deleting => f.write_str("it is being deleted"),
            Self::Ignored => write!(f, "{IGNORE} is set"),
            Self::Namespace => f.write_str("its namespace is not ours"),
            Self::Class(class) => write!(f, "its class is {class}"),
            Self::NoClass => f.write_str("it names no class"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ipam::ServiceKey;

    fn service(class: Option<&str>) -> Written {
        Written {
            key: ServiceKey { namespace: "default".into(), name: "web".into() },
            service_type: "LoadBalancer".into(),
            load_balancer_class: class.map(str::to_owned),
            ..Written::default()
        }
    }

    #[test]
    fn classes_decide_as_with_kube_vip() {
        let only = Terms { classless: Classless::Foreign, ..Terms::default() };
        let none = Terms { class: None, ..Terms::default() };
        let ours = "kube-vip.io/kube-vip-class";
        let ownership =
            |terms: &Terms| [None, Some(ours), Some("other")].map(|class| terms.ownership(&service(class)));
        let foreign = |class: &str| Ownership::Foreign(NotOurs::Class(class.to_owned()));
        let (class, no_class) = (Ownership::Ours(Because::Class), Ownership::Ours(Because::NoClass));
        assert_eq!(
            [Terms::default(), only, none].each_ref().map(ownership),
            [
                [no_class.clone(), class.clone(), foreign("other")],
                [Ownership::Foreign(NotOurs::NoClass), class, foreign("other")],
                [no_class, foreign(ours), foreign("other")],
            ]
        );
    }

    #[test]
    fn what_else_makes_a_service_not_ours() {
        let elsewhere = Terms { namespace: Some("prod".into()), ..Terms::default() };
        let ignored = Written { annotations: [(IGNORE.into(), "true".into())].into(), ..service(None) };
        let cases = [
            (elsewhere, service(None), NotOurs::Namespace),
            (Terms::default(), ignored, NotOurs::Ignored),
            (Terms::default(), Written { deleting: true, ..service(None) }, NotOurs::Deleting),
            (
                Terms::default(),
                Written { service_type: "NodePort".into(), ..service(None) },
                NotOurs::NotLoadBalancer,
            ),
        ];
        for (terms, service, why) in cases {
            assert_eq!(terms.ownership(&service), Ownership::Foreign(why));
        }
    }
}
