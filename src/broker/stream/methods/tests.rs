use super::*;

const OURS: Negotiated = Negotiated { frame_max: 0, heartbeat: 10 };

/// connection.tune with these limits.
fn tuning(frame_max: u32, heartbeat: u16) -> Vec<u8> {
    let limits = [&[7, 255][..], &frame_max.to_be_bytes(), &heartbeat.to_be_bytes()].concat();
    [&[0, 10, 0, 30][..], &limits].concat()
}

#[test]
fn deliveries_are_identified_by_their_tags() {
    let tag = 7_u64.to_be_bytes();
    let deliver = [&[0, 60, 0, 60, 3][..], b"tag", &tag, &[0, 0, 0]].concat();
    let got = [&[0, 60, 0, 71][..], &tag, &[0, 0, 0, 0, 0, 0, 0]].concat();
    let returned = [0, 60, 0, 50, 1, 56, 0, 0, 0];
    assert_eq!(notice(&deliver), Notice::Delivery(7));
    assert_eq!(notice(&got), Notice::Delivery(7));
    assert_eq!(notice(&returned), Notice::OtherContent);
    assert_eq!(notice(&deliver[..9]), Notice::OtherContent);
    assert_eq!(notice(&[0, 20, 0, 11, 0, 0, 0, 0]), Notice::ChannelOpened);
    assert_eq!(notice(&[0, 20, 0, 40, 0, 0]), Notice::ChannelClosed(None));
    assert_eq!(notice(&[0, 20, 0, 41]), Notice::ChannelClosed(None));
    assert_eq!(notice(&[0, 60, 0, 80]), Notice::Nothing);
    assert_eq!(notice(&[]), Notice::Nothing);
}

#[test]
fn the_brokers_own_words_are_kept() {
    let text = b"CONNECTION_FORCED - close_all_connections";
    let length = u8::try_from(text.len()).unwrap();
    let close = [&[0, 10, 0, 50, 1, 64, length][..], text, &[0; 4]].concat();
    let Notice::Closing(cause) = notice(&close) else { panic!("it is not told") };
    assert_eq!(cause.to_string(), "CONNECTION_FORCED - close_all_connections (reply code 320)");
    assert_eq!(notice(&close[..20]), Notice::Nothing);
    let text = b"ACCESS_REFUSED - no";
    let length = u8::try_from(text.len()).unwrap();
    let close = [&[0, 20, 0, 40, 1, 147, length][..], text, &[0; 4]].concat();
    let Notice::ChannelClosed(Some(cause)) = notice(&close) else { panic!("it is not told") };
    assert_eq!(cause.to_string(), "ACCESS_REFUSED - no (reply code 403)");
}

#[test]
fn the_lower_of_two_limits_is_agreed_on() {
    for (ours, offered, agreed) in [
        (0, 131_072, 131_072),
        (8_192, 131_072, 8_192),
        (65_536, 32_768, 32_768),
        // No limit, or a high one: lapin would reserve memory for 64 such frames.
        (0, 0, DEFAULT_FRAME_MAX),
        (0, MOST_FRAME_MAX, DEFAULT_FRAME_MAX),
        (0, u32::MAX, DEFAULT_FRAME_MAX),
        // The operator asks for more.
        (MOST_FRAME_MAX, MOST_FRAME_MAX, MOST_FRAME_MAX),
        (MOST_FRAME_MAX, 262_144, 262_144),
        (u32::MAX, u32::MAX, MOST_FRAME_MAX),
        (8_192, 0, 8_192),
    ] {
        let mut payload = tuning(offered, 60);
        let agreed_on = tune(&mut payload, Negotiated { frame_max: ours, ..OURS }).unwrap();
        assert_eq!(agreed_on.frame_max, agreed, "{ours} {offered}");
        let told = u32::from_be_bytes(*payload[6..10].first_chunk().unwrap());
        assert_eq!(lower(ours, told), agreed, "what lapin makes of it");
    }
    for (theirs, agreed) in [(60, 10), (5, 5), (0, 10)] {
        assert_eq!(tune(&mut tuning(0, theirs), OURS).unwrap().heartbeat, agreed);
    }
    assert_eq!(tune(&mut tuning(0, 0)[..11], OURS), None);
}
