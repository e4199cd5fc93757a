"""Who may come in: users, sessions, tokens, mail, sign-in at other providers."""
