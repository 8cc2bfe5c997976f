//! The table and the JSON of an audit.

use super::site::Site;
use crate::audit::judge::{Finding, Judgement};
use crate::audit::score::Score;
use crate::cli::arguments::Form;
use crate::cli::failure::{Exit, Failure};
use crate::cli::output::{printable, write_out};

/// Writes it.
///
/// # Errors
/// When it cannot be written.
pub fn tell(score: &Score, site: &Site, form: Form) -> Result<(), Failure> {
    let text = match form {
        Form::People => words(score, site),
        Form::Scripts => {
            let mut text = serde_json::to_string_pretty(score)
                .map_err(|error| Failure::new(Exit::Software, format!("cannot write JSON: {error}")))?;
            text.push('\n');
            text
        }
    };
    write_out(|out| out.write_all(text.as_bytes()))
}

fn words(score: &Score, site: &Site) -> String {
    let mut out = format!("Audit of {}", site.mail.address);
    if site.has_two_doors() {
        out.push_str(&format!(" (mail) and {} (logins)", site.login.address));
    }
    out.push_str("\n\nCHANNEL                        SAMPLES   BITS  JUDGEMENT\n");
    for finding in &score.channels {
        out.push_str(&format!(
            "{:<30} {:>7}  {:>5.3}  {}\n",
            finding.channel,
            finding.samples,
            finding.bits,
            judgement(finding)
        ));
        for line in &finding.evidence {
            out.push_str(&format!("    {}\n", printable(line)));
        }
    }
    // Noise may take a sum a little below nothing.
    let bits = |bits: f64| if bits > 0.0 { bits } else { 0.0 };
    out.push_str(&format!(
        "\nThe worst channel that need not tell: {:.3} bits; all of them: {:.3} bits; allowed: {:.3} bits.\n",
        bits(score.max_bits),
        bits(score.sum_bits),
        score.threshold_bits
    ));
    out.push_str(
        "One bit: each answer shows whether an address or login exists. Silent: nothing was found; a difference\n\
         below the figure in brackets may have stayed hidden, and more --samples would show it.\n",
    );
    out
}

fn judgement(finding: &Finding) -> String {
    match finding.judgement {
        Judgement::Silent if finding.resolution > 0.0 => format!("silent (below {:.3})", finding.resolution),
        Judgement::Silent => "silent".to_owned(),
        Judgement::Inherent => "inherent: who takes mail for some addresses tells which".to_owned(),
        Judgement::Leaks => "leaks".to_owned(),
        Judgement::Notice => "worth knowing".to_owned(),
        Judgement::NotTried => "not tried".to_owned(),
        Judgement::Throttled => "throttled".to_owned(),
    }
}
