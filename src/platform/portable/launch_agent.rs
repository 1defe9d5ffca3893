//! Launch agents of macOS, which start a program at login: property lists in `~/Library/LaunchAgents`.

/// The property list of an agent that starts this program.
pub(in crate::platform) fn property_list(label: &str, program: &str) -> String {
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
	<key>Label</key>
	<string>{}</string>
	<key>ProgramArguments</key>
	<array>
		<string>{}</string>
	</array>
	<key>RunAtLoad</key>
	<true/>
	<key>ProcessType</key>
	<string>Interactive</string>
	<key>LimitLoadToSessionType</key>
	<string>Aqua</string>
</dict>
</plist>
"#,
        escaped(label),
        escaped(program)
    )
}

/// The program that a property list of [`property_list`] starts.
pub(in crate::platform) fn program(property_list: &str) -> Option<String> {
    let (_, rest) = property_list.split_once("<key>ProgramArguments</key>")?;
    let (program, _) = rest.split_once("<string>")?.1.split_once("</string>")?;
    Some(program.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_found_again_whatever_its_path() {
        for path in ["/Applications/Pushbell.app/Contents/MacOS/pushbell", "/Users/a & b/<bin>/&amp;", ""] {
            let list = property_list("org.pushbell.Pushbell", path);
            assert_eq!(program(&list).as_deref(), Some(path), "{list}");
        }
        assert_eq!(program("nothing of ours"), None);
    }
}
