//! Tray hosts: panels along the bottom of the screen with only a tray, at the right.

use std::{fs, path::Path, process::Command};

use tiny_skia::Pixmap;

use super::screen;

pub(crate) const HEIGHT: u32 = 36;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::enum_variant_names, reason = "these are the programs' names")]
pub(crate) enum TrayHost {
    Xfce4Panel,
    LxqtPanel,
    MatePanel,
}

/// The panel's colour (RGB): dark.
pub(crate) const COLOR: (u8, u8, u8) = (0x20, 0x20, 0x20);

/// Writes the panel's configuration below the desktop's home directory and returns the command that starts it.
pub(crate) fn command(host: TrayHost, icon_size: u32, home: &Path) -> Command {
    let (red, green, blue) = COLOR;
    let write = |path: &str, text: String| {
        let path = home.join(path);
        fs::create_dir_all(path.parent().expect("a directory")).expect("the home is writable");
        fs::write(path, text).expect("the home is writable");
    };
    match host {
        TrayHost::Xfce4Panel => {
            let [red, green, blue] = [red, green, blue].map(|channel| f64::from(channel) / 255.0);
            let text = format!(
                r#"<?xml version="1.0" encoding="UTF-8"?>
<channel name="xfce4-panel" version="1.0">
  <property name="configver" type="int" value="2"/>
  <property name="panels" type="array"><value type="int" value="1"/>
    <property name="dark-mode" type="bool" value="true"/>
    <property name="panel-1" type="empty">
      <property name="position" type="string" value="p=8;x=0;y=0"/>
      <property name="position-locked" type="bool" value="true"/>
      <property name="length" type="uint" value="100"/>
      <property name="size" type="uint" value="{HEIGHT}"/>
      <property name="icon-size" type="uint" value="{icon_size}"/>
      <property name="background-style" type="uint" value="1"/>
      <property name="background-rgba" type="array">
        <value type="double" value="{red}"/><value type="double" value="{green}"/>
        <value type="double" value="{blue}"/><value type="double" value="1"/>
      </property>
      <property name="plugin-ids" type="array"><value type="int" value="1"/><value type="int" value="2"/></property>
    </property>
  </property>
  <property name="plugins" type="empty">
    <property name="plugin-1" type="string" value="separator">
      <property name="expand" type="bool" value="true"/><property name="style" type="uint" value="0"/>
    </property>
    <property name="plugin-2" type="string" value="systray">
      <property name="icon-size" type="int" value="{icon_size}"/><property name="square-icons" type="bool" value="true"/>
    </property>
  </property>
</channel>
"#
            );
            write(".config/xfce4/xfconf/xfce-perchannel-xml/xfce4-panel.xml", text);
            let mut command = Command::new("xfce4-panel");
            command.arg("--disable-wm-check");
            command
        }
        TrayHost::LxqtPanel => {
            let text = format!(
                "panels=panel1\n[panel1]\nalignment=-1\nanimation-duration=0\nhidable=false\niconSize={icon_size}\n\
                 panelSize={HEIGHT}\nbackground-color=#{red:02x}{green:02x}{blue:02x}\nopacity=100\n\
                 plugins=spacer, statusnotifier\nposition=Bottom\nwidth=100\nwidth-percent=true\n\
                 [spacer]\ntype=spacer\n[statusnotifier]\ntype=statusnotifier\nalignment=Right\n"
            );
            write(".config/lxqt/panel.conf", text);
            Command::new("lxqt-panel")
        }
        TrayHost::MatePanel => {
            let text = format!(
                "[org/mate/panel/general]\ntoplevel-id-list=['bottom']\nobject-id-list=['tray']\n\
                 [org/mate/panel/toplevels/bottom]\norientation='bottom'\nsize={HEIGHT}\nexpand=true\n\
                 enable-animations=false\n\
                 [org/mate/panel/toplevels/bottom/background]\ntype='color'\ncolor='rgb({red},{green},{blue})'\n\
                 [org/mate/panel/objects/tray]\nobject-type='applet'\nlocked=true\n\
                 applet-iid='NotificationAreaAppletFactory::NotificationArea'\n\
                 toplevel-id='bottom'\nposition=0\npanel-right-stick=true\n"
            );
            write(".config/glib-2.0/settings/keyfile", text);
            // The private bus activates nothing: the applet is started as the panel would start it.
            let mut command = Command::new("sh");
            let start =
                "export GSETTINGS_BACKEND=keyfile; /usr/lib/mate-panel/notification-area-applet & exec mate-panel";
            command.args(["-c", start]);
            command
        }
    }
}

/// The area of the tray icons on the screen: x, y, width, height of what differs from the panel's colour.
pub(crate) fn icon_area(screen: &Pixmap) -> Option<(u32, u32, u32, u32)> {
    let (red, green, blue) = COLOR;
    let differs = |x: u32, y: u32| {
        let (r, g, b) = screen::color(screen, x, y);
        r.abs_diff(red) > 12 || g.abs_diff(green) > 12 || b.abs_diff(blue) > 12
    };
    // The panel may draw a line along its edges.
    let rows = screen.height() - HEIGHT + 3..screen.height() - 2;
    let columns = 2..screen.width() - 2;
    let xs = || columns.clone().filter(|x| rows.clone().any(|y| differs(*x, y)));
    let ys = || rows.clone().filter(|y| columns.clone().any(|x| differs(x, *y)));
    let (left, right, top, bottom) = (xs().min()?, xs().max()?, ys().min()?, ys().max()?);
    Some((left, top, right - left + 1, bottom - top + 1))
}
