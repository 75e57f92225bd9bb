// What can be said of a message before any server is asked.

import SMTP

extension SMTPOutgoing {
    /// The message cut into transactions, and the recipients for whom there will be none.
    struct Plan {
        var batches: [SMTPBatch] = []
        /// For each batch, the places of its recipients in `SMTPOutgoing.recipients`.
        var places: [[Int]] = []
        var refused: [Int: SMTPRecipientStatus] = [:]
    }

    func planned(recipientsPerTransaction limit: Int) -> Plan {
        let message: SMTPCheckedMessage
        switch checkedMessage() {
        case .success(let checked): message = checked
        case .failure(let fault):
            let refusal = SMTPRecipientStatus.permanent(fault.failure)
            return Plan(refused: Dictionary(uniqueKeysWithValues: recipients.indices.map { ($0, refusal) }))
        }
        var plan = Plan()
        for (place, address) in recipients.enumerated() {
            guard let path = SMTPPath(address) else {
                plan.refused[place] = .permanent(
                    SMTPFailure(
                        reason: "the recipient's address cannot be sent in a command",
                        enhanced: EnhancedCode(5, 1, 3),
                        stage: .local
                    )
                )
                continue
            }
            let original = originalRecipients.isEmpty ? nil : originalRecipients[place]
            let recipient = SMTPBatch.Recipient(path: path, original: original)
            if let last = plan.batches.indices.last, plan.batches[last].recipients.count < limit {
                plan.batches[last].recipients.append(recipient)
                plan.places[last].append(place)
            } else {
                plan.batches.append(SMTPBatch(message: message, recipients: [recipient]))
                plan.places.append([place])
            }
        }
        return plan
    }

    private struct Fault: Error {
        var failure: SMTPFailure
    }

    private func checkedMessage() -> Result<SMTPCheckedMessage, Fault> {
        func fault(_ reason: String, _ enhanced: EnhancedCode) -> Result<SMTPCheckedMessage, Fault> {
            .failure(Fault(failure: SMTPFailure(reason: reason, enhanced: enhanced, stage: .local)))
        }
        guard let sender = self.sender.isEmpty ? .null : SMTPPath(self.sender) else {
            return fault("the sender's address cannot be sent in a command", EnhancedCode(5, 1, 7))
        }
        // RFC 3461 §4.4: 100 characters, printable.
        if let envid, !(1...100).contains(envid.utf8.count) {
            return fault("the envelope id has \(envid.utf8.count) octets; 1 to 100 are allowed", EnhancedCode(5, 5, 4))
        }
        do throws(SMTPContent.Fault) {
            return .success(
                SMTPCheckedMessage(
                    sender: sender,
                    content: try SMTPContent(data),
                    needsSMTPUTF8: needsSMTPUTF8,
                    envid: envid,
                    ret: ret,
                    notify: notify
                )
            )
        } catch {
            return fault("the message has \(error), which must not be sent", EnhancedCode(5, 6, 0))
        }
    }
}

extension SMTPDestination {
    /// What makes it impossible to talk to a server as configured; mail waits until that is mended.
    var fault: SMTPFailure? {
        func fault(_ reason: String) -> SMTPFailure {
            SMTPFailure(reason: reason, enhanced: EnhancedCode(4, 3, 5), stage: .local)
        }
        if SMTPHelloName(heloName) == nil { return fault("the name for EHLO is not a domain or address literal") }
        if !(1...65535).contains(port) { return fault("\(port) is not a port") }
        if host.isEmpty || host.utf8.contains(0) { return fault("the server's name is empty or broken") }
        // RFC 4616 §2: NUL separates the parts.
        if let credentials, credentials.username.utf8.contains(0) || credentials.password.utf8.contains(0) {
            return fault("a user name or password with a NUL cannot be sent")
        }
        return nil
    }
}
