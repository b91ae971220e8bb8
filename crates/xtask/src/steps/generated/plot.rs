//! The picture of token reads beside their peers, as SVG in light and dark, out of the numbers that `cargo xtask bench`
//! wrote.

use anyhow::Context as _;
use serde_json::Value;

const LEFT: f64 = 150.0;
const WIDTH: f64 = 440.0;
const TOP: f64 = 40.0;
const ROW: f64 = 36.0;
const STYLE: &str = "<style>
  text { font: 14px system-ui, -apple-system, \"Segoe UI\", sans-serif; fill: #1f2933; }
  .small { font-size: 12px; fill: #52606d; }
  .peer { fill: #9aa5b1; }
  .ours { fill: #0b6b62; }
  .range { stroke: #1f2933; stroke-width: 1.5; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e4e7eb; }
    .small { fill: #9aa5b1; }
    .peer { fill: #616e7c; }
    .ours { fill: #5cc8bb; }
    .range { stroke: #e4e7eb; }
  }
</style>
";

/// Reads a second of one peer: the lowest round, the middle one and the highest.
struct Peer {
    who: String,
    low: f64,
    median: f64,
    high: f64,
}

/// The SVG file of these measurements.
pub(super) fn token_reads(measurements: &str) -> anyhow::Result<String> {
    let measurements: Value = serde_json::from_str(measurements)?;
    let sections = measurements["sections"].as_array();
    let mut sections = sections.into_iter().flatten();
    let read = sections.find(|section| section["name"] == "read");
    let peers = read.and_then(|section| section["data"]["peers"].as_array());
    let peers: Vec<Peer> = peers
        .context("no token reads were measured")?
        .iter()
        .filter_map(peer)
        .collect();
    let most = peers.iter().map(|peer| peer.high).fold(1.0, f64::max);
    let rows = peers.iter().scan(TOP, |y, peer| {
        let row = bar(peer, *y, WIDTH / most);
        *y += ROW;
        Some(row)
    });
    let rows: String = rows.collect();
    let height = peers.iter().fold(TOP + 10.0, |y, _| y + ROW);
    Ok(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 760 {height}\" width=\"760\" height=\"{height}\" \
         role=\"img\" aria-labelledby=\"t\">\n<title id=\"t\">Token reads a second, beside peers</title>\n{STYLE}\
         <text class=\"small\" x=\"{LEFT}\" y=\"20\">token reads a second: median, and the lowest and highest round</text>\n\
         {rows}</svg>\n"
    ))
}

fn peer(value: &Value) -> Option<Peer> {
    let rounds = value["rounds"].as_array()?.iter();
    let mut rates: Vec<f64> = rounds
        .filter_map(|round| round["per_second"].as_f64())
        .collect();
    rates.sort_by(f64::total_cmp);
    Some(Peer {
        who: value["who"]
            .as_str()?
            .replace('&', "&amp;")
            .replace('<', "&lt;"),
        low: *rates.first()?,
        median: *rates.get(rates.len() / 2)?,
        high: *rates.last()?,
    })
}

/// The bar of one peer, with its name before and its number behind.
fn bar(peer: &Peer, y: f64, scale: f64) -> String {
    let Peer {
        who,
        low,
        median,
        high,
    } = peer;
    let class = if who == "hubkey" { "ours" } else { "peer" };
    let (width, from, to) = (median * scale, LEFT + low * scale, LEFT + high * scale);
    let (name, middle, text) = (LEFT - 10.0, y + 11.0, y + 16.0);
    format!(
        "<text x=\"{name}\" y=\"{text}\" text-anchor=\"end\">{who}</text>\n\
         <rect class=\"{class}\" x=\"{LEFT}\" y=\"{y}\" width=\"{width:.1}\" height=\"22\" rx=\"3\"/>\n\
         <path class=\"range\" d=\"M{from:.1} {middle}H{to:.1}\"/>\n\
         <text x=\"{:.1}\" y=\"{text}\">{median:.0}</text>\n",
        to + 10.0
    )
}

#[cfg(test)]
mod tests {
    use super::token_reads;

    #[test]
    fn each_peer_has_a_bar_up_to_its_median() {
        let measured = r#"{"sections": [{"name": "read", "data": {"peers": [
            {"who": "hubkey", "rounds": [{"per_second": 30}, {"per_second": 10}, {"per_second": 20}]},
            {"who": "a & b", "rounds": [{"per_second": 44}]}]}}]}"#;
        let picture = token_reads(measured).unwrap();
        for part in [
            "class=\"ours\" x=\"150\" y=\"40\" width=\"200.0\"",
            "M250.0 51H450.0",
            ">a &amp; b</text>",
            "class=\"peer\" x=\"150\" y=\"76\" width=\"440.0\"",
        ] {
            assert!(picture.contains(part), "{part} is missing in\n{picture}");
        }
        assert!(token_reads("{}").is_err());
    }
}
