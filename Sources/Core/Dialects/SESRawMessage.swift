// A finished message as SES takes it: with line ends of any kind, with fields that speak to SES only, and with what the
// request adds to it.

import MIME
import Mapping

struct SESRawMessage {
    /// Of the request: takes the place of Return-Path, and of From where the message has none.
    var source: Sourced<Mailbox>?
    /// Of the request; a message may have a Reply-To of its own instead.
    var replyTo: [Sourced<Mailbox>] = []
    /// Envelope MAIL FROM, where the request names one for bounces.
    var bounces: Sourced<EmailAddress>?

    /// Fields that say something to SES, and go no further.
    private static let own = [
        "x-ses-configuration-set", "x-ses-message-tags", "x-ses-source-arn", "x-ses-from-arn", "x-ses-return-path-arn",
    ]

    /// - Parameter data: the message in base64.
    func read(
        _ data: Sourced<String>,
        into message: inout NativeMessage,
        _ tags: inout SESTags,
        longestTag: Int,
        _ problems: inout NativeProblems
    ) {
        guard let decoded = NativeText.base64(data.value, at: data.at, &problems) else { return }
        // Senders hand over what their library wrote to a text file; SES takes LF too.
        let bytes = LineDiscipline.normalizingBareNewlines(decoded)
        let header: HeaderBlock
        do throws(MIMEError) {
            header = try HeaderBlock.parse(bytes)
        } catch {
            return problems.invalid("has a header that cannot be read: \(error.message)", at: data.at)
        }
        readOwnFields(header, data.at, &tags, longestTag, &problems)
        var edit = HeaderEdit(removing: Self.own)
        if header.first("from") == nil, let source {
            add("From", [source], to: &edit, data.at, &problems)
        }
        if !replyTo.isEmpty {
            if header.first("reply-to") == nil {
                add("Reply-To", replyTo, to: &edit, data.at, &problems)
            } else {
                problems.invalid("the message has a Reply-To field already", at: replyTo[0].at)
            }
        }
        message.sender = sender(header, data.at)
        message.raw = Sourced(edit.apply(to: header), at: data.at)
    }

    /// Bounces go to the address that the request names for them, else to Source, else to Return-Path. A Source that
    /// only repeats From asks for nothing, and leaves the vault's `default_envelope_strategy` in force.
    private func sender(_ header: HeaderBlock, _ place: String) -> Sourced<EmailAddress>? {
        if let bounces { return bounces }
        if let source {
            guard let from = try? header.addresses("from").mailboxes.first else { return nil }
            let isRepeated = from.address.comparisonKey == source.value.address.comparisonKey
            return isRepeated ? nil : Sourced(source.value.address, at: source.at)
        }
        return (try? header.addresses("return-path").mailboxes.first).map { Sourced($0.address, at: place) }
    }

    private func add(
        _ name: String,
        _ mailboxes: [Sourced<Mailbox>],
        to edit: inout HeaderEdit,
        _ place: String,
        _ problems: inout NativeProblems
    ) {
        let value = mailboxes.map(\.value.headerForm).joined(separator: ", ")
        do throws(MIMEError) {
            edit.prepending.append(try HeaderField(name: name, value: value))
        } catch {
            problems.invalid("cannot be written as \(name): \(error.message)", at: mailboxes[0].at)
        }
    }

    /// What the request says itself wins over the message's own fields.
    private func readOwnFields(
        _ header: HeaderBlock,
        _ place: String,
        _ tags: inout SESTags,
        _ longestTag: Int,
        _ problems: inout NativeProblems
    ) {
        if header.first("x-ses-list-management-options") != nil {
            problems.unsupported("X-SES-LIST-MANAGEMENT-OPTIONS: \(SESFeature.listManagement)", at: place)
        }
        if header.first("x-ses-tenant") != nil {
            problems.unsupported("X-SES-TENANT: \(SESFeature.tenants)", at: place)
        }
        if let name = header.decodedText("x-ses-configuration-set"), !tags.hasConfigurationSet {
            tags.set(configurationSet: Sourced(name, at: place), &problems)
        }
        for name in ["x-ses-source-arn", "x-ses-from-arn", "x-ses-return-path-arn"] {
            SESText.check(arn: header.decodedText(name).map { Sourced($0, at: place) }, &problems)
        }
        guard let list = header.decodedText("x-ses-message-tags") else { return }
        for pair in list.split(separator: ",") {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2 else {
                problems.invalid("X-SES-MESSAGE-TAGS is not a list of name=value", at: place)
                return
            }
            let name = Self.trimmed(parts[0])
            guard !tags.has(name) else { continue }
            tags.add(
                Sourced(name, at: place), Sourced(Self.trimmed(parts[1]), at: place), in: place, longest: longestTag,
                &problems)
        }
    }

    private static func trimmed(_ text: Substring) -> String {
        String(text.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
    }
}
