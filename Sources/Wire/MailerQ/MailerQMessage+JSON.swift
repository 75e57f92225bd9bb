// The message in JSON, straight into bytes: every message to MailerQ passes here.

import JSON

extension MailerQMessage {
    /// The body of the AMQP message or of the HTTP request.
    /// - Throws: ``MailerQError`` `not_utf8`.
    package func encoded() throws(MailerQError) -> [UInt8] {
        let finished: String?
        switch mime {
        case .canonical, .responsive: finished = nil
        case .string(let bytes):
            guard let text = String(validating: bytes, as: UTF8.self) else {
                throw MailerQError(.notUTF8, "the message has bytes that are not UTF-8")
            }
            finished = text
        }
        // Line ends take two bytes more each.
        var writer = JSONWriter(capacity: 1024 + (finished.map { $0.utf8.count + $0.utf8.count / 16 } ?? 2048))
        writer.object { writer in
            writer.member("recipient", recipient)
            if let envelope { writer.member("envelope", envelope) }
            if let priority { writer.member("priority", priority) }
            if !ips.isEmpty { writer.member("ips", ips) }
            if let pool { writer.member("pool", pool) }
            if !tags.isEmpty { writer.member("tags", tags) }
            if let campaignID { writer.member("campaign_id", campaignID) }
            if let tracking {
                writer.name("tracking")
                tracking.write(to: &writer)
            }
            if let nextAttempt {
                writer.name("nextattempt")
                writer.object { writer in writer.member("time", nextAttempt.description) }
            }
            if let maxDeliverTime { writer.member("maxdelivertime", maxDeliverTime.description) }
            if queues != Queues() {
                writer.name("queues")
                queues.write(to: &writer)
            }
            writer.name("mime")
            switch mime {
            case .string: writer.string(finished ?? "")
            case .canonical(let content): content.writeCanonical(to: &writer)
            case .responsive(let content): content.writeResponsive(to: &writer)
            }
            if let reference {
                writer.name(MailerQReference.property)
                reference.write(to: &writer)
            }
        }
        return writer.bytes
    }
}

extension MailerQMessage.Tracking {
    fileprivate func write(to writer: inout JSONWriter) {
        writer.object { writer in
            if let userID { writer.member("userId", userID) }
            if let endpointID { writer.member("endpointId", endpointID) }
            if let context { writer.member("context", context) }
            if let isVisible { writer.member("visible", isVisible) }
        }
    }
}

extension MailerQMessage.Queues {
    fileprivate func write(to writer: inout JSONWriter) {
        writer.object { writer in
            Self.write("results", results, to: &writer)
            Self.write("success", success, to: &writer)
            Self.write("failure", failure, to: &writer)
            Self.write("retry", retry, to: &writer)
        }
    }

    private static func write(_ member: String, _ name: Name, to writer: inout JSONWriter) {
        switch name {
        case .configured: break
        case .none: writer.member(member, nil as String?)
        case .named(let name): writer.member(member, name)
        }
    }
}

extension MailerQContent {
    /// The product scope's `mime` (seed 000 §06).
    fileprivate func writeCanonical(to writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("to", to)
            writer.name("from")
            from.write(to: &writer)
            writer.name("replyto")
            replyTo.write(to: &writer)
            if let subject { writer.member("subject", subject) }
            if let text { writer.member("text", text) }
            if !html.isEmpty {
                writer.name("content")
                writer.array { writer in
                    for block in html {
                        writer.object { writer in
                            writer.member("type", "html")
                            writer.member("content", block)
                        }
                    }
                }
            }
            writeHeaders(to: &writer)
        }
    }

    /// The `mime` of ResponsiveEmail/json: a `content` that is a string is literal HTML.
    fileprivate func writeResponsive(to writer: inout JSONWriter) {
        writer.object { writer in
            writer.name("from")
            from.write(to: &writer)
            writer.name("replyTo")
            replyTo.write(to: &writer)
            writer.member("to", to)
            if let subject { writer.member("subject", subject) }
            if let text { writer.member("text", text) }
            if !html.isEmpty { writer.member("content", html.joined(separator: "\r\n")) }
            writeHeaders(to: &writer)
        }
    }

    private func writeHeaders(to writer: inout JSONWriter) {
        guard !headers.isEmpty else { return }
        writer.name("headers")
        writer.object { writer in
            for header in headers { writer.member(header.name, header.value) }
        }
    }
}

extension MailerQContent.Party {
    fileprivate func write(to writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("address", address)
            writer.member("name", name)
        }
    }
}
