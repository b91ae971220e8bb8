//! Whether a token is the token of a single-user server, and of which: the rules under D1 of
//! `docs/reference/security-rules.md`.
//!
//! The Hub names alice for *every* token that is hers: those that services and other people's shared servers hold too.
//! Only the scopes tell the token that the Hub gave to her own server.

use hubkey_domain::identity::{HubUser, ServerName};

use super::{
    KernelError,
    user_model::{Session, UserModel},
};

/// Begins every scope that lets its holder into servers.
const ACCESS: &str = "access:servers";

/// The owner and the server, if the token is a server's. `server_scope` may be empty: then it is not asked for.
pub(super) fn identify_server(
    model: &UserModel,
    server_scope: &str,
) -> Result<(HubUser, ServerName), KernelError> {
    let found = owner_and_server(model).ok_or(KernelError::NotAServerToken)?;
    if server_scope.is_empty() || model.has_scope(&of_user(server_scope, &model.name)) {
        Ok(found)
    } else {
        Err(KernelError::MissingKernelScope)
    }
}

fn owner_and_server(model: &UserModel) -> Option<(HubUser, ServerName)> {
    let user = model.owner()?;
    let is_server = model.is_user()
        && model.session == Session::NoBrowser
        && model.has_scope(&of_user("users:activity", &model.name));
    let server = is_server.then(|| sole_accessible_server(model))??;
    Some((user, ServerName::parse(server)?))
}

/// The server that the token may enter, if it is exactly one and its owner's.
fn sole_accessible_server(model: &UserModel) -> Option<&str> {
    let mut accesses = model
        .scopes
        .iter()
        .filter(|scope| scope.starts_with(ACCESS));
    let access = accesses.next()?;
    if accesses.next().is_some() {
        return None;
    }
    let server = access
        .strip_prefix(ACCESS)?
        .strip_prefix("!server=")?
        .strip_prefix(model.name.as_str())?
        .strip_prefix('/')?;
    // The Hub refuses such names; without this, `a` + `b/` and `a/b` + `` would be spelled alike.
    (!server.contains('/')).then_some(server)
}

fn of_user(scope: &str, name: &str) -> String {
    format!("{scope}!user={name}")
}

#[cfg(test)]
mod tests {
    use hubkey_domain::clock::Timestamp;
    use proptest::prelude::*;

    use super::*;

    const KERNEL: &str = "custom:hubkey:kernel";

    /// Owner, scopes of access, and the server that they prove.
    const ACCESSES: &[(&str, &[&str], Option<&str>)] = &[
        ("alice", &["access:servers!server=alice/"], Some("")),
        ("alice", &["access:servers!server=alice/gpu"], Some("gpu")),
        ("alice", &[], None),
        ("alice", &["access:servers"], None),
        ("alice", &["access:servers!user=alice"], None),
        ("alice", &["access:servers!group=alice/"], None),
        ("alice", &["access:servers!service=alice/"], None),
        ("alice", &["access:servers!server=alice"], None),
        ("alice", &["access:servers!server="], None),
        ("alice", &["access:servers!server=/"], None),
        ("alice", &["access:servers!server=mallory/"], None),
        ("alice", &["access:servers!server=Alice/"], None),
        ("alice", &["access:servers!server=alice/a/b"], None),
        ("alice", &["access:servers!server=alice//"], None),
        ("alice", &["access:servers!server= alice/"], None),
        ("alice", &["access:servers!!server=alice/"], None),
        ("alice", &["access:serversX!server=alice/"], None),
        ("alice", &["xaccess:servers!server=alice/"], None),
        (
            "alice",
            &[
                "access:servers!server=alice/",
                "access:servers!server=alice/gpu",
            ],
            None,
        ),
        (
            "alice",
            &[
                "access:servers!server=alice/",
                "access:servers!server=alice/",
            ],
            None,
        ),
        (
            "alice",
            &["access:servers!server=alice/", "access:servers"],
            None,
        ),
        (
            "alice",
            &["access:servers!server=alice/", "access:servers!group=lab"],
            None,
        ),
        // One name begins another.
        ("ali", &["access:servers!server=alice/"], None),
        ("alice", &["access:servers!server=ali/"], None),
        ("alice", &["access:servers!server=alice2/"], None),
        // Names with what separates in them.
        ("a/b", &["access:servers!server=a/b/"], Some("")),
        ("a/b", &["access:servers!server=a/b/c"], Some("c")),
        ("a/b", &["access:servers!server=a/b"], None),
        ("a", &["access:servers!server=a/b/"], None),
        ("a", &["access:servers!server=a/b"], Some("b")),
        ("a%2Fb", &["access:servers!server=a/b/"], None),
        (
            "a!server=b",
            &["access:servers!server=a!server=b/"],
            Some(""),
        ),
        ("a", &["access:servers!server=a!server=b/"], None),
        ("а", &["access:servers!server=a/"], None), // Cyrillic а
        ("zoë", &["access:servers!server=zoë/β"], Some("β")),
        ("zoë", &["access:servers!server=zoe\u{308}/"], None),
    ];

    fn model(name: &str, scopes: &[&str]) -> UserModel {
        UserModel {
            kind: "user".to_owned(),
            name: name.to_owned(),
            created: None,
            session: Session::NoBrowser,
            scopes: scopes.iter().map(|&scope| scope.to_owned()).collect(),
        }
    }

    fn with_access(name: &str, access: &[&str]) -> UserModel {
        let activity = of_user("users:activity", name);
        let kernel = of_user(KERNEL, name);
        let mut scopes = access.to_vec();
        scopes.extend([activity.as_str(), kernel.as_str()]);
        model(name, &scopes)
    }

    fn accepted(model: &UserModel) -> Option<String> {
        let (user, server) = identify_server(model, KERNEL).ok()?;
        assert_eq!(user.as_str(), model.name);
        Some(server.as_str().to_owned())
    }

    #[test]
    fn security_k2_only_one_filtered_access_to_an_own_server_is_accepted() {
        for (name, access, server) in ACCESSES {
            assert_eq!(
                accepted(&with_access(name, access)).as_deref(),
                *server,
                "{name} {access:?}"
            );
        }
    }

    #[test]
    fn found_e1_reading_the_own_model_makes_no_server_and_hinders_none() {
        let own = |name| of_user("read:users", name);
        for (owner, access, server) in ACCESSES {
            let mut model = with_access(owner, access);
            for name in ["alice", "mallory"] {
                model.scopes.extend([own(name), own(name) + "/x"]);
            }
            model.scopes.push("read:users".to_owned());
            assert_eq!(accepted(&model).as_deref(), *server, "{owner} {access:?}");
        }
        let created = Timestamp::from_rfc3339("2026-11-24T20:00:07Z");
        let mut model = with_access("alice", &["access:servers!server=alice/"]);
        model.created = created;
        let (user, _) = identify_server(&model, KERNEL).unwrap();
        assert_eq!(user.created(), created);
    }

    #[test]
    fn security_k3_the_kernel_scope_must_be_there_and_of_this_user() {
        let others = [
            "custom:hubkey:kernel",
            "custom:hubkey:kernel!user",
            "custom:hubkey:kernel!user=mallory",
            "custom:hubkey:kernel!user=alice2",
            "custom:hubkey:kernel!user=ali",
            "custom:hubkey:kernel!server=alice/",
            "custom:hubkey:kernel2!user=alice",
        ];
        for other in others {
            let scopes = ["access:servers!server=alice/", "users:activity!user=alice"];
            let model = model("alice", &[scopes.as_slice(), &[other]].concat());
            assert_eq!(
                identify_server(&model, KERNEL).err(),
                Some(KernelError::MissingKernelScope),
                "{other}"
            );
            assert!(
                identify_server(&model, "").is_ok(),
                "where it is not asked for"
            );
        }
    }

    #[test]
    fn security_k2_without_the_right_to_report_activity_it_is_no_server() {
        for activity in [
            "users:activity",
            "users:activity!user=mallory",
            "users:activity!server=alice/",
        ] {
            let scopes = [
                "access:servers!server=alice/",
                activity,
                "custom:hubkey:kernel!user=alice",
            ];
            assert_eq!(
                identify_server(&model("alice", &scopes), KERNEL).err(),
                Some(KernelError::NotAServerToken),
                "{activity}"
            );
        }
    }

    proptest! {
        #[test]
        fn security_k11_a_server_token_names_its_owner_and_server(
            name in "[a-z/!=:%а-я\u{308} ]{1,20}",
            server in "[a-z!=:%а-я ]{0,20}",
        ) {
            let access = format!("access:servers!server={name}/{server}");
            prop_assert_eq!(accepted(&with_access(&name, &[&access])), Some(server));
        }

        #[test]
        fn security_k11_no_user_is_taken_for_another(
            owner in "[ab/!=]{1,4}",
            server in "[ab!=]{0,3}",
            asker in "[ab/!=]{1,4}",
        ) {
            prop_assume!(owner != asker);
            let access = format!("access:servers!server={owner}/{server}");
            prop_assert_eq!(accepted(&with_access(&asker, &[&access])), None);
        }

        #[test]
        fn security_k5_any_scopes_at_all_do_not_panic(
            name in ".{0,20}",
            scopes in proptest::collection::vec("(access:servers)?!?(server=)?.{0,12}", 0..6),
        ) {
            let scopes: Vec<_> = scopes.iter().map(String::as_str).collect();
            let _ = identify_server(&with_access(&name, &scopes), KERNEL);
        }
    }
}
