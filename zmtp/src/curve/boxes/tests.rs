use proptest::prelude::*;

use super::*;

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.chars().map(|digit| digit.to_digit(16).unwrap().try_into().unwrap()).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// From NaCl's own tests (`tests/box.c`).
#[test]
fn boxes_match_nacl() {
    let secret = bytes("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
    let public = bytes("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
    let nonce = bytes("69696ee955b62b73cd62bda875fc73d68219e0036b7a0b37");
    let text = bytes(
        "be075fc53c81f2d5cf141316ebeb0c7b5228c52a4c62cbd44b66849b64244ffce5ecbaaf33bd751a1ac728d45e6c61296cdc3c0123\
         3561f41db66cce314adb310e3be8250c46f06dceea3a7fa1348057e2f6556ad6b1318a024a838f21af1fde048977eb48f59ffd4924\
         ca1c60902e52f0a089bc76897040e082f937763848645e0705",
    );
    let boxed = bytes(
        "f3ffc7703f9400e52a7dfb4b3d3305d98e993b9f48681273c29650ba32fc76ce48332ea7164d96a4476fb8c531a1186ac0dfc17c98\
         dce87b4da7f011ec48c97271d2c20f9b928fe2270d6fb863d51738b48eeee314a7cc8ab932164548e526ae90224368517acfeabd6b\
         b3732bc0e9da99832b61ca01b6de56244a9e88d5f9b37973f622a43d14a6599b1f654cb45a74e355a5",
    );
    let secret: [u8; 32] = secret.try_into().unwrap();
    let key = BoxKey::agreed(&StaticSecret::from(secret), &public.try_into().unwrap()).unwrap();
    let mut made = Vec::new();
    key.seal(&nonce.try_into().unwrap(), &text, &mut made);
    assert_eq!(made, boxed);
}

#[test]
fn low_order_keys_are_refused() {
    let one = {
        let mut one = [0; 32];
        one[0] = 1;
        one
    };
    for theirs in [[0; 32], one] {
        assert_eq!(BoxKey::agreed(&StaticSecret::from([9; 32]), &theirs).err(), Some(ZmtpError::Proof));
    }
}

proptest! {
    #[test]
    fn only_unchanged_boxes_are_opened(
        text in prop::collection::vec(any::<u8>(), 0..200),
        change in any::<prop::sample::Index>(),
        bit in 0..8_u8,
    ) {
        let key = BoxKey::new(&[3; 32]);
        let nonce = [4; 24];
        let mut boxed = Vec::new();
        key.seal(&nonce, &text, &mut boxed);
        prop_assert_eq!(boxed.len(), text.len() + TAG_BYTES);
        let opened = key.open(&nonce, &boxed);
        prop_assert_eq!(opened.as_ref().map(|text| text.as_slice()), Ok(text.as_slice()));
        let at = change.index(boxed.len());
        boxed[at] ^= 1 << bit;
        prop_assert_eq!(key.open(&nonce, &boxed), Err(ZmtpError::Box));
        prop_assert_eq!(key.open(&nonce, &boxed[..at]), Err(ZmtpError::Box));
    }
}
