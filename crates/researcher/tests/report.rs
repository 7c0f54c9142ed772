//! The report's page, made from histories of every shape.

use protocol::{
    ArtifactReference, Code, Digest, FederationMetric, History, HistoryRound, HistorySite, MadeBy,
    MetricsReport, Timestamp, Warning,
};
use researcher::history::to_csv;
use researcher::report::{ComparedModel, Comparison, Emphasis, Report};

/// A training that gets better, with a site that fails once.
fn history(sites: u32, rounds: u32) -> History {
    History {
        experiment_id: "0197f3a0-0000-7000-8000-000000000001".parse().expect("is an id"),
        name: "breast cancer, <logistic> & more".to_owned(),
        state: "completed".to_owned(),
        seed: 42,
        rounds_planned: rounds,
        rounds: (0..=rounds).map(|round| one_round(round, sites)).collect(),
    }
}

fn accuracy(round: u32, site: u32) -> f64 {
    let late = f64::from(round) / (2.0 + f64::from(round));
    0.62 + 0.35 * late + 0.01 * f64::from((round * 7 + site * 5) % 5) - 0.02 * f64::from(site % 3)
}

fn loss(round: u32, site: u32) -> f64 {
    0.69 * (-0.15 * f64::from(round)).exp() + 0.03 * f64::from(site % 4) + 0.05
}

fn one_round(round: u32, sites: u32) -> HistoryRound {
    let metric =
        |name: &str, value, made_by| FederationMetric { name: name.to_owned(), value, made_by };
    HistoryRound {
        round,
        started_at: Some(Timestamp::from_milliseconds(1_000 + u64::from(round) * 400)),
        ended_at: Some(Timestamp::from_milliseconds(1_300 + u64::from(round) * 400)),
        model: Some(ArtifactReference::new(Digest::of(&round.to_le_bytes()), 1_024)),
        metrics: vec![
            metric("ACCURACY", accuracy(round, 1), MadeBy::Pooled),
            metric("ROC_AUC", 0.5 + accuracy(round, 0) / 2.1, MadeBy::MeanOfSites),
        ],
        loss: (round > 0).then(|| loss(round, 1)),
        sites: (0..sites).map(|site| one_site(round, site)).collect(),
    }
}

fn one_site(round: u32, site: u32) -> HistorySite {
    const NAMES: [&str; 3] = ["north", "south", "west"];
    let name = NAMES.get(site as usize).map_or_else(|| format!("site-{site}"), |n| (*n).to_owned());
    let failed = round == 4 && site == 1;
    let metrics = MetricsReport {
        metrics: vec![
            ("ACCURACY".to_owned(), accuracy(round, site)),
            ("ROC_AUC".to_owned(), 0.5 + accuracy(round, site) / 2.1),
        ],
        validation_count: 30 + u64::from(site),
        sums: None,
    };
    HistorySite {
        node: name.parse().expect("is a name"),
        dataset: "breast-cancer".parse().expect("is a name"),
        code: if failed { Code::DeadlineExceeded } else { Code::Ok },
        used: round > 0 && !failed,
        sample_count: if round > 0 { 120 + 31 * u64::from(site) } else { 0 },
        loss: (round > 0 && !failed).then(|| loss(round, site)),
        metrics: (!failed).then_some(metrics),
        update_metrics: None,
        warnings: if round == 2 { vec![Warning::MetricSingleClass] } else { Vec::new() },
        training_seconds: 0.012,
    }
}

fn compared() -> Comparison {
    let model = |name: &str, trained_on: &str, emphasis, values: [Option<f64>; 2]| ComparedModel {
        name: name.to_owned(),
        trained_on: trained_on.to_owned(),
        emphasis,
        values: values.into(),
    };
    Comparison {
        caption: "Measured on the same 114 patients, whom no hospital trained on".to_owned(),
        metrics: vec!["ACCURACY".to_owned(), "ROC_AUC".to_owned()],
        models: vec![
            model(
                "federated",
                "3 hospitals, nothing shared",
                Emphasis::Strong,
                [Some(0.9737), Some(0.996)],
            ),
            model("north alone", "182 patients", Emphasis::Plain, [Some(0.9561), Some(0.991)]),
            model("south alone", "160 patients", Emphasis::Plain, [Some(0.9386), Some(0.987)]),
            model("west alone", "113 patients", Emphasis::Plain, [Some(0.9211), None]),
            model(
                "all data pooled",
                "455 patients in one place",
                Emphasis::Plain,
                [Some(0.9825), Some(0.997)],
            ),
        ],
    }
}

#[test]
fn the_page_needs_nothing_else_and_holds_every_number() {
    let mut report = Report::new(history(3, 20));
    report.comparison = Some(compared());
    report.facts.push(("plan".to_owned(), "breast-cancer-logistic".to_owned()));
    let page = report.to_html();
    for forbidden in ["<script", "http://", "https://", "src=", "@import", "url("] {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
    assert_eq!(page.matches("<svg ").count(), 3);
    assert_eq!(page.matches("<title id=").count(), 3);
    assert_eq!(page.matches("<desc id=").count(), 3);
    assert!(page.contains("breast cancer, &lt;logistic&gt; &amp; more"));
    assert!(page.contains(&format!("{:.4}", accuracy(20, 1))));
    assert!(page.contains("<code>deadline.exceeded</code> × 1"));
    assert!(page.contains("all data pooled"));
    assert!(!page.contains("NaN"));
}

#[test]
fn every_opened_element_is_closed() {
    let page = Report::new(history(3, 20)).to_html();
    for element in
        ["html", "body", "header", "main", "section", "figure", "svg", "table", "tr", "td", "th"]
    {
        let opened = page.matches(&format!("<{element} ")).count()
            + page.matches(&format!("<{element}>")).count();
        assert_eq!(opened, page.matches(&format!("</{element}>")).count(), "{element}");
    }
}

#[test]
fn lines_differ_in_dashes_and_not_in_colour_alone() {
    let page = Report::new(history(6, 8)).to_html();
    let first = page.split("</svg>").next().expect("there is a figure");
    let mut dashes: Vec<&str> = first
        .match_indices("stroke-dasharray=\"")
        .map(|(at, start)| {
            let rest = &first[at + start.len()..];
            &rest[..rest.find('"').expect("the attribute ends")]
        })
        .collect();
    assert_eq!(dashes.len(), 6);
    dashes.sort_unstable();
    dashes.dedup();
    assert_eq!(dashes.len(), 6);
}

#[test]
fn many_sites_become_a_band() {
    let page = Report::new(history(12, 60)).to_html();
    assert!(page.contains("class=\"band\""));
    assert!(page.contains("12 sites"));
}

#[test]
fn an_experiment_that_has_not_begun_has_a_page() {
    for rounds in [Vec::new(), vec![HistoryRound::default()]] {
        let page = Report::new(History { rounds, ..history(0, 0) }).to_html();
        assert!(page.contains("Nothing has been measured yet"));
        assert!(page.ends_with("</html>\n"));
    }
    let one = Report::new(history(1, 1)).to_html();
    assert!(!one.contains("NaN"));
}

#[test]
fn the_csv_has_a_line_for_each_value() {
    let csv = to_csv(&history(2, 2));
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines[0], "round,node,dataset,measure,value,made_by,rows");
    assert!(lines.iter().all(|line| line.split(',').count() == 7));
    // Round 0: 2 + 2 × 2. Rounds 1 and 2 also have a loss each, and one for each site.
    assert_eq!(lines.len(), 1 + 6 + 2 * (6 + 3));
}
