// What an SMTP server says for itself, in one place: code, enhanced code (RFC 3463) and a sentence on what to do.

extension EnhancedCode {
    package static let success = EnhancedCode(2, 0, 0)
    static let badRecipientSyntax = EnhancedCode(5, 1, 3)
    static let badSenderSyntax = EnhancedCode(5, 1, 7)
    static let invalidCommand = EnhancedCode(5, 5, 1)
    static let syntaxError = EnhancedCode(5, 5, 2)
    static let invalidArguments = EnhancedCode(5, 5, 4)
    static let tooLongAuthenticationLine = EnhancedCode(5, 5, 6)
}

extension SMTPReply {
    /// The delegate's usual answer to a wrong name or password (RFC 4954 §6).
    package static let badCredentials = SMTPReply(
        535,
        EnhancedCode(5, 7, 8),
        "Wrong user name or password; check both and try again."
    )
    /// For a delegate that cannot look credentials up at the moment (RFC 4954 §6).
    package static let authenticationUnavailable = SMTPReply(
        454,
        EnhancedCode(4, 7, 0),
        "Credentials cannot be checked at the moment; try again later."
    )

    // Done.
    static let ok = SMTPReply(250, .success, "OK")
    static let senderOK = SMTPReply(250, EnhancedCode(2, 1, 0), "Sender OK")
    static let recipientOK = SMTPReply(250, EnhancedCode(2, 1, 5), "Recipient OK")
    static let bye = SMTPReply(221, .success, "Bye")
    static let startData = SMTPReply(354, nil, "Send the message, and end it with a dot on a line of its own")
    static let readyForTLS = SMTPReply(220, .success, "Go ahead with the TLS handshake")
    static let authenticated = SMTPReply(235, EnhancedCode(2, 7, 0), "Authentication succeeded")
    static let notVerified = SMTPReply(252, .success, "Not checked here; send the message to find out")
    static let help = SMTPReply(
        214,
        .success,
        [
            "Commands: EHLO HELO STARTTLS AUTH MAIL RCPT DATA BDAT RSET NOOP VRFY HELP QUIT",
            "See RFC 5321, and the EHLO reply for what else is offered here",
        ]
    )

    // Not in this order.
    static let sayHelloFirst = SMTPReply(503, .invalidCommand, "Send EHLO first.")
    static let nestedMail = SMTPReply(503, .invalidCommand, "A transaction is open; finish it or send RSET first.")
    static let needMail = SMTPReply(503, .invalidCommand, "Send MAIL FROM first.")
    static let needRecipient = SMTPReply(503, .invalidCommand, "No recipient was accepted; send RCPT TO first.")
    static let chunksBegun = SMTPReply(503, .invalidCommand, "BDAT has begun; go on with BDAT or send RSET.")
    static let chunkWithoutTransaction = SMTPReply(
        503,
        .invalidCommand,
        "The chunk was thrown away: begin with MAIL FROM and an accepted RCPT TO."
    )
    static let authenticateOnlyOnce = SMTPReply(503, .invalidCommand, "You are authenticated already.")
    static let authenticateInTransaction = SMTPReply(503, .invalidCommand, "AUTH comes before MAIL FROM.")
    static let authenticateNeedsEHLO = SMTPReply(503, .invalidCommand, "Send EHLO, not HELO, before AUTH.")
    static let startTLSNeedsEHLO = SMTPReply(503, .invalidCommand, "Send EHLO, not HELO, before STARTTLS.")
    static let tlsAlready = SMTPReply(503, .invalidCommand, "TLS is on already.")
    static let startTLSInTransaction = SMTPReply(503, .invalidCommand, "STARTTLS comes before MAIL FROM.")

    // Not understood.
    static let unknownCommand = SMTPReply(500, .invalidCommand, "Unknown command; HELP lists those that are known.")
    static let commandTooLong = SMTPReply(500, .syntaxError, "The command line is too long; shorten it.")
    static let authenticationLineTooLong = SMTPReply(
        500,
        .tooLongAuthenticationLine,
        "The response is too long; authentication cancelled."
    )
    static let badBase64 = SMTPReply(501, .syntaxError, "That is not base64; send the response as one base64 line.")
    static let badPlainResponse = SMTPReply(
        501,
        .syntaxError,
        "A PLAIN response is an identity or nothing, NUL, a user name, NUL and a password, in UTF-8."
    )
    static let badLoginResponse = SMTPReply(
        501,
        .syntaxError,
        "A LOGIN response is a user name, then a password, each of 1 to 255 octets of UTF-8."
    )
    static let authenticationCancelled = SMTPReply(501, EnhancedCode(5, 7, 0), "Authentication cancelled.")
    static let unknownMechanism = SMTPReply(
        504,
        .invalidArguments,
        "Use one of the mechanisms that the EHLO reply lists."
    )
    static let binaryNotOffered = SMTPReply(
        555,
        .invalidArguments,
        "BINARYMIME is not offered here; encode the message and leave the parameter out."
    )
    static let binaryNeedsChunks = SMTPReply(503, .invalidCommand, "A BINARYMIME message is sent with BDAT, not DATA.")
    static let needsSMTPUTF8 = SMTPReply(
        553,
        EnhancedCode(5, 6, 7),
        "An address that is not ASCII needs the SMTPUTF8 parameter on MAIL FROM."
    )

    // Not allowed.
    static let authenticationRequired = SMTPReply(
        530,
        EnhancedCode(5, 7, 0),
        "Authentication is required; send AUTH first."
    )
    static let tlsRequired = SMTPReply(
        530,
        EnhancedCode(5, 7, 0),
        "TLS and authentication are required; send STARTTLS, then AUTH."
    )
    static let encryptionRequired = SMTPReply(
        538,
        EnhancedCode(5, 7, 11),
        "Authentication is only taken under TLS; send STARTTLS first."
    )
    static let authenticationNotOffered = SMTPReply(502, .invalidCommand, "AUTH is not offered here.")
    static let tlsNotOffered = SMTPReply(502, .invalidCommand, "STARTTLS is not offered here.")
    static let tlsUnavailable = SMTPReply(
        454,
        EnhancedCode(4, 7, 0),
        "TLS is not available at the moment; try again later."
    )

    // Too much.
    static let tooManyRecipients = SMTPReply(
        452,
        EnhancedCode(4, 5, 3),
        "Too many recipients; send the message to these first, then to the rest."
    )
    static func tooLarge(_ limit: Int) -> SMTPReply {
        SMTPReply(552, EnhancedCode(5, 3, 4), "The message is larger than \(limit) octets; send a smaller one.")
    }
    static func lineTooLong(_ limit: Int) -> SMTPReply {
        SMTPReply(
            500,
            EnhancedCode(5, 6, 0),
            "A line of the message is longer than \(limit) octets; encode it as quoted-printable or base64."
        )
    }

    // Goodbye.
    static let badLineEnding = SMTPReply(
        521,
        .syntaxError,
        "Lines end in CRLF: a CR or LF on its own or a NUL is not taken here. Nothing was stored."
    )
    static let spokeEarly = SMTPReply(554, EnhancedCode(5, 5, 0), "Wait for the greeting before you send anything.")
    static let injectedBeforeTLS = SMTPReply(
        554,
        EnhancedCode(5, 5, 0),
        "Send nothing behind STARTTLS before the handshake. All of it was thrown away."
    )
    static let notSMTP = SMTPReply(
        554,
        EnhancedCode(5, 5, 0),
        "This is an SMTP server; other protocols are not spoken."
    )
    static let tooManyErrors = SMTPReply(421, EnhancedCode(4, 7, 0), "Too many errors; correct them and connect again.")
    static let tooManyCommands = SMTPReply(
        421,
        EnhancedCode(4, 7, 0),
        "Too many commands without authentication; connect again."
    )
    static let tooManyAuthenticationFailures = SMTPReply(
        421,
        EnhancedCode(4, 7, 0),
        "Too many failed authentications; check user name and password."
    )
    static let flood = SMTPReply(421, EnhancedCode(4, 7, 0), "Stop sending what was refused; connect again.")
    static let idleTimeout = SMTPReply(421, EnhancedCode(4, 4, 2), "Nothing came for too long; connect again.")
    static let sessionSpent = SMTPReply(421, EnhancedCode(4, 4, 2), "This session is used up; connect again.")
    static let shuttingDown = SMTPReply(421, EnhancedCode(4, 3, 2), "The server is shutting down; connect again soon.")
    package static let tooManyConnections = SMTPReply(
        421,
        EnhancedCode(4, 7, 0),
        "Too many connections; close some, or try again later."
    )
}
