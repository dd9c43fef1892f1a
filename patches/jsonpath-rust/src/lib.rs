//! As much of JSONPath as a kubeconfig's auth-provider needs, which is all that kube-client asks of the crate of this name:
//! names with dots between. That one brings an engine for regular expressions along, of most of a megabyte.

use serde_json::Value;

/// Something in which a path leads to something.
pub trait JsonPath {
    /// What is at `$.name.name`; empty where nothing is.
    ///
    /// # Errors
    /// The path is of another form.
    fn query(&self, path: &str) -> Result<Vec<&Self>, NotUnderstood>;
}

/// A path of another form.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NotUnderstood;

impl JsonPath for Value {
    fn query(&self, path: &str) -> Result<Vec<&Self>, NotUnderstood> {
        let names = path.strip_prefix("$.").ok_or(NotUnderstood)?;
        let is_name = |name: &str| !name.is_empty() && !name.contains(|letter| "[]()*?@'\"".contains(letter));
        if !names.split('.').all(is_name) {
            return Err(NotUnderstood);
        }
        Ok(names.split('.').try_fold(self, Self::get).into_iter().collect())
    }
}

impl std::fmt::Display for NotUnderstood {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("not names with dots between; write for example {.credential.access_token}")
    }
}

impl std::error::Error for NotUnderstood {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_names_leads_to_one_value_or_none_and_others_are_refused() {
        let credential = serde_json::json!({"credential": {"access_token": "t"}, "items": [{"name": "a"}]});
        assert_eq!(credential.query("$.credential.access_token"), Ok(vec![&Value::from("t")]));
        assert_eq!(credential.query("$.credential.id_token"), Ok(vec![]));
        for path in ["credential", "$", "$.", "$..name", "$.items[0].name", "$.items[?(@.name)]", "$.*"] {
            assert_eq!(credential.query(path), Err(NotUnderstood), "{path}");
        }
    }
}
