// Mailgun's `o:` options and `t:` fields, each taken or refused by its name.

import MIME
import Mapping
import Model

struct MailgunOptions {
    private var tags: Sourced<[String]>?
    private var sendAt: Sourced<Timestamp>?
    private var ips: Sourced<[String]>?
    private var pool: Sourced<String>?

    private static let off: Set<String> = ["no", "false"]

    init(_ reader: inout MailgunReader) {
        let texts = reader.texts("o:tag").map(\.value).filter { !$0.isEmpty }
        if !texts.isEmpty { tags = Sourced(texts, at: "o:tag") }
        sendAt = Self.deliveryTime(&reader)
        if let ip = reader.text("o:sending-ip") { ips = Sourced([ip.value], at: ip.at) }
        pool = reader.text("o:sending-ip-pool")
        refuseTracking(&reader)
        refuseTransport(&reader)
        for name in ["template"] + reader.names(with: "t:") {
            reader.refuse(name, "templates are not kept or rendered here: send the finished message")
        }
        let known = Self.names
        for name in reader.names(with: "o:") where !known.contains(name) {
            reader.refuse(name, "this option of Mailgun's has no counterpart here")
        }
    }

    func apply(to message: inout NativeMessage) {
        message.tags = tags
        message.sendAt = sendAt
        message.ips = ips
        message.pool = pool
    }

    private static let names: Set<String> = [
        "o:tag", "o:deliverytime", "o:sending-ip", "o:sending-ip-pool", "o:tracking", "o:tracking-clicks",
        "o:tracking-opens", "o:tracking-pixel-location-top", "o:testmode", "o:dkim", "o:require-tls",
        "o:skip-verification", "o:deliverytime-optimize-period", "o:time-zone-localize",
    ]

    private func refuseTracking(_ reader: inout MailgunReader) {
        reader.refuse("o:tracking", "opens and clicks are not tracked here", unless: Self.off)
        reader.refuse("o:tracking-clicks", "clicks are not tracked here", unless: Self.off)
        reader.refuse("o:tracking-opens", "opens are not tracked here", unless: Self.off)
        reader.refuse("o:tracking-pixel-location-top", "opens are not tracked here", unless: Self.off)
    }

    private func refuseTransport(_ reader: inout MailgunReader) {
        reader.refuse(
            "o:testmode", "there is no test mode: POST /v1/map/mailgun shows what a payload becomes", unless: Self.off)
        reader.refuse("o:dkim", "the vault's route settles whether mail is signed, not the message")
        let transport = "the vault's route settles how mail is encrypted on its way, not the message"
        reader.refuse("o:require-tls", transport, unless: Self.off)
        reader.refuse("o:skip-verification", transport, unless: Self.off)
        let time = "the best time is not guessed: give it in o:deliverytime"
        reader.refuse("o:deliverytime-optimize-period", time)
        reader.refuse("o:time-zone-localize", time)
    }

    /// A date as in mail (RFC 5322 §3.3). Mailgun goes some days ahead; the limit here is the one of all dialects.
    private static func deliveryTime(_ reader: inout MailgunReader) -> Sourced<Timestamp>? {
        guard let text = reader.text("o:deliverytime") else { return nil }
        guard let date = MailDate(parsing: text.value), MailDate.representable.contains(date.unixSeconds) else {
            reader.problems.invalid("is not a date as in mail, such as Fri, 20 Nov 2026 18:00:00 +0000", at: text.at)
            return nil
        }
        return Sourced(Timestamp(milliseconds: date.unixSeconds * 1000), at: text.at)
    }
}
