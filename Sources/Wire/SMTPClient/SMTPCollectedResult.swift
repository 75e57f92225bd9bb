// Puts the transactions of one delivery together to one result, in the order of the message's recipients.

struct SMTPCollectedResult {
    private let recipients: [String]
    private var statuses: [SMTPRecipientStatus?]
    private var transcript: SMTPTranscript
    private var peer: String
    private var tls: String?

    init(_ recipients: [String], _ destination: SMTPDestination, transcriptSize: Int) {
        self.recipients = recipients
        statuses = Array(repeating: nil, count: recipients.count)
        transcript = SMTPTranscript(limit: transcriptSize)
        peer = "\(destination.host):\(destination.port)"
    }

    mutating func take(_ refused: [Int: SMTPRecipientStatus]) {
        for (place, status) in refused { statuses[place] = status }
    }

    mutating func take(_ attempt: SMTPClientHandler.Attempt, _ places: [Int], peer: String) {
        for (place, status) in zip(places, attempt.statuses) { statuses[place] = status }
        transcript.append(attempt.transcript)
        self.peer = peer
        tls = attempt.tls
    }

    mutating func fail(_ failure: SMTPFailure, _ transcript: SMTPTranscript?, peer: String?) {
        rest(.transient(failure))
        if let transcript { self.transcript.append(transcript) }
        if let peer { self.peer = peer }
    }

    mutating func rest(_ status: SMTPRecipientStatus) {
        statuses = statuses.map { $0 ?? status }
    }

    /// Every recipient must have its status by now.
    var delivery: SMTPDeliveryResult {
        let outcomes = zip(recipients, statuses).map { recipient, status in
            guard let status else { preconditionFailure("a recipient was forgotten") }
            return SMTPRecipientOutcome(recipient: recipient, status: status)
        }
        return SMTPDeliveryResult(outcomes: outcomes, transcript: transcript, peer: peer, tls: tls)
    }
}
