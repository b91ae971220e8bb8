//! The rows of the table of bounds that a listener keeps, each at both sides. A row without a probe fails.

use hubkey_protocol::bounds::{Beyond, Bound, BoundGroup};

use super::{
    limits::{fields, request, start_for_people},
    *,
};

/// A request whose target or whose whole head has this size.
fn sized(target: usize, head: usize) -> String {
    let path = format!("/length?{}", "a".repeat(target.saturating_sub(8)));
    let shortest = request(&path, "x-padding: \r\n", "");
    let field = format!(
        "x-padding: {}\r\n",
        "b".repeat(head.saturating_sub(shortest.len()))
    );
    request(&path, &field, "")
}

/// A listener and a request of which what the row bounds has this size.
async fn of_row(bound: Bound, size: usize) -> (Running, String) {
    let for_people = async || start_for_people().await;
    let for_programs = async |body_bytes| {
        let limits = Limits {
            body_bytes,
            ..quick()
        };
        start(limits, sample()).await
    };
    let body = "c".repeat(size);
    match bound {
        Bound::PublicAddress => (for_people().await, sized(size, 0)),
        Bound::PublicHead | Bound::PublicHeadRead => (for_people().await, sized(0, size)),
        Bound::Address => (for_programs(Bound::Body.limit()).await, sized(size, 0)),
        Bound::Head => (for_programs(Bound::Body.limit()).await, sized(0, size)),
        // Three stand in every request.
        Bound::HeaderFields => (
            for_programs(Bound::Body.limit()).await,
            request("/length", &fields(size - 3), ""),
        ),
        Bound::Body | Bound::InternalBody => (
            for_programs(bound.limit()).await,
            request("/length", "", &body),
        ),
        _ => panic!("{} has no probe", bound.name()),
    }
}

/// What a listener for people says of a head whose row bounds it.
fn told_beyond(bound: Bound) -> &'static str {
    match bound {
        Bound::PublicAddress => "Some(Address)",
        Bound::PublicHead => "Some(Header)",
        Bound::PublicHeadRead => "<p>The address is too long.</p>",
        _ => panic!("{} has no probe", bound.name()),
    }
}

#[tokio::test]
async fn found_c_each_bound_of_a_request_holds_at_both_sides() {
    for bound in Bound::of(BoundGroup::Request) {
        // How much is read is rounded up to a buffer.
        let more = match bound {
            Bound::PublicHeadRead => 8 * 1024,
            _ => 1,
        };
        let (running, taken) = of_row(bound, bound.limit()).await;
        let taken = running.ask(taken).await;
        let begun = tokio::time::Instant::now();
        let (running, refused) = of_row(bound, bound.limit() + more).await;
        let refused = running.ask(refused).await;
        assert!(begun.elapsed() < Duration::from_secs(2), "{}", bound.name());
        if let Beyond::Refused(code) = bound.row().beyond {
            assert_eq!(status(&taken), 200, "{}: {taken}", bound.name());
            assert_eq!(status(&refused), code.row().status, "{refused}");
            assert_eq!(problem_code(&refused), code.name());
        } else {
            let told = told_beyond(bound);
            assert!(!taken.contains(told), "{}: {taken}", bound.name());
            assert!(refused.contains(told), "{}: {refused}", bound.name());
        }
    }
}
