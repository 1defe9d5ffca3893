//! Certificate renewals, successful and failing, with open connections.

use std::{
    fs::{self, File},
    os::unix::fs::symlink,
    path::Path,
};

use serde_json::json;

use crate::{
    authority::{CertificateFiles, Pair, write_pair},
    rig::{SOON, never_within, wait_until},
    secure::{HOST, TlsApp, recorded, start},
};

/// Writes a pair to its files.
type Renewal = fn(&CertificateFiles, &Pair, usize);

fn in_place(place: &CertificateFiles, pair: &Pair, _: usize) {
    place.write(pair);
}

/// Replaces each file, preserving the modification time.
fn replaced(place: &CertificateFiles, pair: &Pair, _: usize) {
    for (path, text) in [(place.certificate(), &pair.certificate), (place.key(), &pair.key)] {
        let modified = fs::metadata(&path).and_then(|found| found.modified()).expect("it is there");
        let new = path.with_extension("new");
        fs::write(&new, text).expect("it is writable");
        File::options().write(true).open(&new).and_then(|file| file.set_modified(modified)).expect("it is ours");
        fs::rename(&new, &path).expect("it is writable");
    }
}

fn relink(link: &Path, target: &str) {
    let new = link.with_file_name("new-link");
    symlink(target, &new).expect("it is writable");
    fs::rename(&new, link).expect("it is writable");
}

/// certbot: `fullchain.pem -> archive/fullchain2.pem`.
fn certbot(place: &CertificateFiles, pair: &Pair, number: usize) {
    let archive = place.path().join("archive");
    fs::create_dir_all(&archive).expect("it is writable");
    for (path, name, text) in
        [(place.certificate(), "fullchain", &pair.certificate), (place.key(), "privkey", &pair.key)]
    {
        fs::write(archive.join(format!("{name}{number}.pem")), text).expect("it is writable");
        relink(&path, &format!("archive/{name}{number}.pem"));
    }
}

/// Kubernetes and similar: `fullchain.pem -> ..data/fullchain.pem`, `..data -> ..2`.
fn mounted(place: &CertificateFiles, pair: &Pair, number: usize) {
    let version = format!("..{number}");
    fs::create_dir_all(place.path().join(&version)).expect("it is writable");
    write_pair(&place.path().join(&version), pair);
    relink(&place.path().join("..data"), &version);
    for name in ["fullchain.pem", "privkey.pem"] {
        let (link, target) = (place.path().join(name), format!("..data/{name}"));
        if fs::read_link(&link).ok().as_deref() != Some(Path::new(&target)) {
            relink(&link, &target);
        }
    }
}

#[test]
fn a_renewed_pair_is_in_force_and_no_connection_is_dropped() {
    let secure = TlsApp::start();
    let mut kept = secure.connect().expect("there is a certificate");
    kept.push(&secure.body("before"));
    let mut number = 0;
    let ways: [Renewal; 4] = [in_place, replaced, certbot, mounted];
    for renew in ways {
        // The first round changes from the previous layout, which the old file watches notice; the last one renews
        // within the layout.
        for _ in 0..3 {
            number += 1;
            let before = secure.connect().expect("there is a certificate").certificate();
            renew(&secure.place, &secure.authority.certify(HOST), number);
            wait_until(&format!("renewal {number} is in force"), SOON, || {
                secure.connect().expect("there is a certificate at any time").certificate() != before
            });
            kept.push(&secure.body(&format!("kept{number}")));
            secure.connect().expect("there is a certificate").push(&secure.body(&format!("new{number}")));
        }
    }
    assert_eq!(secure.problems(), "[]");
    assert_eq!(recorded(&secure.app), 1 + 2 * number);
    assert!(!secure.app.pushbell.log().contains("needs your attention"), "{}", secure.app.pushbell.log());
}

#[test]
fn an_unusable_certificate_keeps_the_old_one_and_is_reported() {
    let secure = TlsApp::start();
    let good = secure.connect().expect("there is a certificate").certificate();
    let mut kept = secure.connect().expect("there is a certificate");
    let (first, second) = (secure.authority.certify(HOST), secure.authority.certify(HOST));
    let half = |text: &str| text[..text.len() / 3].to_owned();
    let wrong = [
        ("does not belong", first.certificate.clone(), second.key.clone()),
        ("ends in the middle", half(&first.certificate), first.key.clone()),
        ("ends in the middle", first.certificate.clone(), half(&first.key)),
        ("no private key", first.certificate.clone(), String::new()),
        ("no certificate", String::new(), first.key.clone()),
    ];
    for (number, (expected, certificate, key)) in wrong.into_iter().enumerate() {
        let mark = secure.app.mark();
        secure.place.write(&Pair { certificate, key });
        secure
            .app
            .pushbell
            .wait_for_status("it tells what is wrong", |status| status["problems"].to_string().contains(expected));
        let popup = secure.app.titled(mark, "The certificate needs your attention");
        assert!(popup.body.contains(expected) && popup.body.contains("stays in use"), "{}", popup.body);
        let mut line = secure.connect().expect("the one before is in force");
        assert_eq!(line.certificate(), good);
        line.push(&secure.body(&format!("new{number}")));
        kept.push(&secure.body(&format!("kept{number}")));
    }
    fs::remove_file(secure.place.certificate()).expect("it is ours");
    secure.app.pushbell.wait_for_status("it tells", |status| status["problems"].to_string().contains("no such file"));

    secure.place.write(&first);
    secure.app.pushbell.wait_for_status("nothing is wrong any more", |status| status["problems"] == json!([]));
    assert_ne!(secure.connect().expect("there is a new one").certificate(), good);
    kept.push(&secure.body("after"));
    let log = secure.app.pushbell.log();
    let is_secret = |line: &&str| !line.starts_with('-') && log.contains(&line[..line.len().min(16)]);
    assert_eq!(first.key.lines().chain(second.key.lines()).find(is_secret), None);
}

#[test]
fn a_pair_that_is_written_in_two_steps_is_no_alarm() {
    let secure = TlsApp::start();
    let pair = secure.authority.certify(HOST);
    fs::write(secure.place.certificate(), &pair.certificate).expect("it is writable");
    never_within(crate::app::MOMENT, "it is told", || secure.problems() != "[]");
    fs::write(secure.place.key(), &pair.key).expect("it is writable");
    let before = secure.app.pushbell.status()["tls"]["not_after"].clone();
    assert!(before.is_string());
    wait_until("it is in force", SOON, || secure.app.pushbell.log().matches("is in force").count() == 2);
    assert_eq!(secure.problems(), "[]");
    assert!(secure.app.notifications().all().is_empty());
}

#[test]
fn a_certificate_that_has_expired_is_used_and_told_of() {
    let secure = TlsApp::start();
    secure.place.write(&secure.authority.certify_expired(HOST));
    let told = |app: &crate::app::App| {
        app.pushbell
            .wait_for_status("it is told", |status| status["problems"].to_string().contains("has expired on 2020"));
        app.titled(0, "The certificate needs your attention");
    };
    told(&secure.app);
    assert!(secure.connect().is_err(), "it is in force, and nobody takes it");
    assert!(secure.app.pushbell.ok(&["test"]).contains("https://"));
    // Also at the start.
    let place = CertificateFiles::with(&secure.authority.certify_expired(HOST));
    told(&start(&place.config()));
}
