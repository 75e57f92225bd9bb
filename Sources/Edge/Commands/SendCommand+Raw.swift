// A finished message: the body of POST /v1/send/mime.

import ArgumentParser

extension SendCommand {
    func validateRaw() throws {
        let inHeader =
            [
                ("--cc", !cc.isEmpty), ("--bcc", !bcc.isEmpty), ("--reply-to", !replyTo.isEmpty),
                ("--subject", subject != nil), ("--text", text != nil), ("--html", html != nil),
                ("--attach", !attach.isEmpty), ("--header", !header.isEmpty), ("--tag", !tag.isEmpty),
                ("--send-at", sendAt != nil),
            ] as [(name: String, isGiven: Bool)]
        if let option = inHeader.first(where: \.isGiven) {
            throw ValidationError("\(option.name) cannot be given with --raw, whose message is finished.")
        }
    }

    func rawRequest(_ path: String, _ terminal: Terminal) throws -> APIRequest {
        var request = APIRequest(.post, "send", "mime")
        request.ask("from", from)
        for address in to { request.ask("to", address) }
        do throws(FileFailure) {
            request.body = .message(
                Self.withMailLineEnds(path == "-" ? try terminal.input() : try FileBytes.read(path)))
        } catch {
            throw ValidationError(error.description)
        }
        return request
    }

    /// A text without any CR has Unix' line ends and gets mail's (RFC 5322 §2.1). One that mixes them is left to the
    /// server to refuse: there is no telling which of its line ends were meant.
    static func withMailLineEnds(_ bytes: [UInt8]) -> [UInt8] {
        guard !bytes.contains(0x0D), bytes.contains(0x0A) else { return bytes }
        var message: [UInt8] = []
        message.reserveCapacity(bytes.count + bytes.count / 32)
        for byte in bytes {
            if byte == 0x0A { message.append(0x0D) }
            message.append(byte)
        }
        return message
    }
}
