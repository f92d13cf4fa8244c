(() => {
  const main = document.getElementById("main");
  const given = new URLSearchParams(location.hash.slice(1));
  const mode = given.get("mode");
  const code = given.get("code");
  // The code is not to stay in the history.
  history.replaceState(null, "", location.pathname);
  const actions = {
    "verify-email": { ask: "Confirm your e-mail address?", button: "Confirm", path: "email/confirm", done: "Your address is confirmed." },
    "change-email": { ask: "Use this e-mail address for your account?", button: "Use it", path: "email/confirm", done: "Your address is changed." },
    "email-changed": { ask: "Take the change of your e-mail address back?", button: "Take it back", path: "email/confirm", done: "Your address is what it was, and all sessions have ended. Choose a new password now." },
    "reset-password": { ask: "Choose a new password.", button: "Set the password", path: "password/confirm", done: "Your new password is set.", password: true },
    "setup": { ask: "Make the first administrator of this server.", button: "Make the account", path: "setup", done: "The account is made, and is an owner: sign in with it.", email: true, password: true, secret: true },
    "sign-in-link": { ask: "This link is for the app that you asked for it. Open it there.", button: null },
  };
  const element = (name, text) => {
    const made = document.createElement(name);
    made.textContent = text;
    return made;
  };
  const say = (text) => main.replaceChildren(element("p", text));
  const action = actions[mode];
  if (!action || !code) {
    say("This link is not complete. Copy all of it.");
    return;
  }
  say(action.ask);
  if (!action.button) return;
  const field = (type, label, autocomplete) => {
    const input = document.createElement("input");
    input.type = type;
    input.autocomplete = autocomplete;
    input.placeholder = label;
    input.setAttribute("aria-label", label);
    main.append(input);
    return input;
  };
  const email = action.email && field("email", "E-mail address", "username");
  const password = action.password && field("password", "New password", "new-password");
  const button = element("button", action.button);
  const problem = element("p", "");
  problem.setAttribute("role", "alert");
  main.append(button, problem);
  button.addEventListener("click", async () => {
    button.disabled = true;
    problem.textContent = "";
    const body = action.secret ? { secret: code } : { code };
    if (email) body.email = email.value;
    if (password) body.password = password.value;
    try {
      const answer = await fetch(action.path, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body),
      });
      if (answer.ok) {
        say(action.done);
        return;
      }
      problem.textContent = (await answer.json()).detail;
    } catch {
      problem.textContent = "The server cannot be reached.";
    }
    button.disabled = false;
  });
})();
