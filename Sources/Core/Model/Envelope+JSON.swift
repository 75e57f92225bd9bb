// The envelope in its canonical JSON, as `map` answers it, the log keeps it and a route publishes it.

package import JSON
import MIME

extension Envelope {
    /// - Parameter showsRaw: whether a finished message stands in the document as the string `mime.raw`; otherwise
    ///   its size does (`mime.size`), because it may be long and has a path of its own.
    package func write(to writer: inout JSONWriter, showsRaw: Bool = false) {
        writer.object { writer in
            writer.member("recipient", recipient.description)
            writer.member("envelope", sender.description)
            writer.member("priority", priority)
            if !ips.isEmpty { writer.member("ips", ips) }
            if !tags.isEmpty { writer.member("tags", tags) }
            if let campaignID { writer.member("campaign_id", campaignID) }
            if let tracking {
                writer.name("tracking")
                tracking.write(to: &writer)
            }
            writer.name("mime")
            content.write(to: &writer, recipient: recipient, showsRaw: showsRaw)
        }
    }
}

extension Envelope.Tracking {
    fileprivate func write(to writer: inout JSONWriter) {
        writer.object { writer in
            if let userID { writer.member("userId", userID) }
            if let endpointID { writer.member("endpointId", endpointID) }
            if let context { writer.member("context", context) }
            if let isVisible { writer.member("visible", isVisible) }
        }
    }
}

extension Envelope.Party {
    fileprivate func write(to writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("address", address.description)
            writer.member("name", name)
        }
    }
}

extension Envelope.Content {
    fileprivate func write(to writer: inout JSONWriter, recipient: EmailAddress, showsRaw: Bool) {
        writer.object { writer in
            writer.member("to", recipient.description)
            writer.name("from")
            from.write(to: &writer)
            writer.name("replyto")
            replyTo.write(to: &writer)
            if let subject { writer.member("subject", subject) }
            switch body {
            case .blocks(let text, let html):
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
            case .raw(let message):
                if showsRaw {
                    writer.member("raw", String(decoding: message.bytes, as: UTF8.self))
                } else {
                    writer.member("size", message.bytes.count)
                }
            }
            if !headers.isEmpty {
                writer.name("headers")
                writer.object { writer in
                    for header in headers { writer.member(header.name, header.value) }
                }
            }
        }
    }
}
