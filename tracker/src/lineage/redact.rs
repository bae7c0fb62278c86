//! Keeps secrets and masses of text out of recorded arguments.

/// What stands where a secret stood.
const MASK: &str = "<redacted>";

/// At most this many arguments are kept.
const MAX_ARGS: usize = 96;
/// At most this many bytes of one argument are kept.
const MAX_ARG_BYTES: usize = 512;
/// At most this many bytes of all arguments together are kept.
const MAX_BYTES: usize = 4096;

/// Last words of the names of options and variables whose value is a secret: `--bootstrap-token`, `DB_PASSWORD=`.
const SECRET_WORDS: [&str; 14] = [
    "token",
    "password",
    "passwd",
    "passphrase",
    "pass",
    "pwd",
    "secret",
    "secret-key",
    "api-key",
    "apikey",
    "access-key",
    "private-key",
    "psk",
    "credentials",
];

/// Options named like a secret whose value is a file's path or a flag.
const NOT_SECRET: [&str; 5] =
    ["--service-account-private-key", "--tls-private-key", "--token-auth", "--no-password", "--rotate-token"];

/// Beginnings of arguments after which the rest is a secret.
const SECRET_PREFIXES: [&str; 5] =
    ["authorization:", "proxy-authorization:", "x-auth-token:", "x-vault-token:", "cookie:"];

/// Masks secrets in arguments (`--token x`, `--token=x`, `DB_PASSWORD=x`, `Authorization: x`, `https://user:x@host`) and
/// bounds them; the second value tells whether anything was cut.
///
/// By name only: a secret in an argument that is not named like one is kept.
pub fn redact(argv: Vec<String>) -> (Vec<String>, bool) {
    let mut kept = Vec::with_capacity(argv.len().min(MAX_ARGS));
    let mut left = MAX_BYTES;
    let mut is_cut = argv.len() > MAX_ARGS;
    let mut value_is_secret = false;
    for arg in argv.into_iter().take(MAX_ARGS) {
        let was_secret = std::mem::take(&mut value_is_secret) && !arg.starts_with('-');
        let mut arg = if was_secret {
            MASK.to_owned()
        } else {
            value_is_secret = is_secret_option(&arg);
            mask(arg)
        };
        let limit = MAX_ARG_BYTES.min(left);
        if arg.len() > limit {
            arg.truncate(arg.floor_char_boundary(limit));
            is_cut = true;
        }
        left -= arg.len();
        kept.push(arg);
        if left == 0 {
            is_cut = true;
            break;
        }
    }
    (kept, is_cut)
}

/// Whether the next argument is a secret: `--token`, `--db-password`.
fn is_secret_option(arg: &str) -> bool {
    arg.starts_with("--") && !arg.contains('=') && is_secret_name(arg)
}

fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase().replace('_', "-");
    !NOT_SECRET.contains(&name.as_str())
        && SECRET_WORDS.iter().any(|word| {
            name.strip_suffix(word).is_some_and(|before| before.is_empty() || before.ends_with(['-', '.', ':']))
        })
}

fn mask(arg: String) -> String {
    if let Some(prefix) = SECRET_PREFIXES.iter().find(|prefix| starts_with_ignoring_case(&arg, prefix)) {
        return format!("{} {MASK}", &arg[..prefix.len()]);
    }
    match arg.split_once('=') {
        // a name has no spaces: `sh -c "x; y=z"` is no assignment
        Some((name, value)) if !value.is_empty() && !name.contains(' ') && is_secret_name(name) => {
            format!("{name}={MASK}")
        }
        _ => mask_userinfo(arg),
    }
}

/// `scheme://user:secret@host` without the secret.
fn mask_userinfo(arg: String) -> String {
    let Some((scheme, rest)) = arg.split_once("://") else { return arg };
    let authority = rest.split(['/', '?', '#', ' ']).next().unwrap_or(rest);
    let Some((user, _)) = authority.rsplit_once('@').and_then(|(userinfo, _)| userinfo.split_once(':')) else {
        return arg;
    };
    let host = authority.rsplit_once('@').map_or("", |(_, host)| host);
    format!("{scheme}://{user}:{MASK}@{host}{}", &rest[authority.len()..])
}

fn starts_with_ignoring_case(text: &str, prefix: &str) -> bool {
    text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redacted(line: &[&str]) -> Vec<String> {
        redact(line.iter().map(|arg| (*arg).to_owned()).collect()).0
    }

    #[test]
    fn secrets_are_masked_in_every_spelling() {
        for (line, expected) in [
            (vec!["kubeadm", "join", "--token", "abc.def"], vec!["kubeadm", "join", "--token", MASK]),
            (vec!["x", "--bootstrap-token=abc"], vec!["x", "--bootstrap-token=<redacted>"]),
            (vec!["x", "--client_secret", "s"], vec!["x", "--client_secret", MASK]),
            (vec!["curl", "-H", "authorization: Bearer s"], vec!["curl", "-H", "authorization: <redacted>"]),
            (vec!["env", "DB_PASSWORD=s", "PATH=/bin"], vec!["env", "DB_PASSWORD=<redacted>", "PATH=/bin"]),
            (vec!["c", "https://me:s@host/p?q"], vec!["c", "https://me:<redacted>@host/p?q"]),
            (vec!["x", "--password", "--verbose"], vec!["x", "--password", "--verbose"]),
        ] {
            assert_eq!(redacted(&line), expected);
        }
    }

    #[test]
    fn what_is_no_secret_stays() {
        for line in [
            vec!["kubelet", "--kubeconfig", "/etc/kubernetes/kubelet.conf"],
            vec!["kube-apiserver", "--tls-private-key", "/etc/kubernetes/pki/apiserver.key"],
            vec!["iptables", "-m", "comment", "--comment", "bypass", "-j", "ACCEPT"],
            vec!["curl", "https://example.org/a:b@c"],
            vec!["x", "--compass", "north"],
        ] {
            assert_eq!(redacted(&line), line);
        }
    }

    #[test]
    fn arguments_are_bounded() {
        let (kept, is_cut) = redact(vec!["ä".repeat(400)]);
        assert!(is_cut);
        assert_eq!(kept[0].len(), 512);
        let (kept, is_cut) = redact(vec!["x".to_owned(); 200]);
        assert!(is_cut);
        assert_eq!(kept.len(), MAX_ARGS);
        let (kept, is_cut) = redact(vec!["y".repeat(500); 20]);
        assert!(is_cut);
        assert_eq!(kept.iter().map(String::len).sum::<usize>(), MAX_BYTES);
        assert!(!redact(vec!["ip".to_owned(), "link".to_owned()]).1);
    }
}
