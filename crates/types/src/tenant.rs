use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// On whose behalf a call runs: calls of different tenants take turns, whatever each of them asks for.
///
/// By default all calls have one shared tenant. A name is at most 64 bytes without control characters. It decides
/// about turns only: what a call may reach is a matter of its grants.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tenant(Option<Arc<str>>);

impl Tenant {
    /// The longest name, in bytes.
    pub const MAX_LEN: usize = 64;

    /// Returns the name; the shared tenant has none.
    pub fn name(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

/// A text that does not name a tenant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a tenant has a name of 1 to {max} bytes without control characters", max = Tenant::MAX_LEN)]
pub struct TenantError;

impl FromStr for Tenant {
    type Err = TenantError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = (1..=Self::MAX_LEN).contains(&text.len()) && !text.contains(char::is_control);
        if fits { Ok(Self(Some(text.into()))) } else { Err(TenantError) }
    }
}

impl fmt::Display for Tenant {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name().unwrap_or("shared"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_tenant_is_never_the_shared_one() {
        assert_eq!(Tenant::default().name(), None);
        assert_ne!("shared".parse(), Ok(Tenant::default()));
        for bad in ["", "a\n", &"x".repeat(65)] {
            assert_eq!(bad.parse::<Tenant>(), Err(TenantError), "{bad:?}");
        }
    }
}
