// What is asked of a conversion: a form whose fields are those of the upload.

/**
 * Wires the form. Returns {read, clear}: read gives [name, value] of each
 * option, or null where a field is not right, which is then shown.
 */
export function setUp({ form, details, error }) {
  const [bitrate, quality] = ["bitrate", "quality"].map((name) => form.elements.namedItem(name));

  // They exclude each other: the one that was chosen last counts.
  bitrate.addEventListener("change", () => { if (bitrate.value) quality.value = ""; });
  quality.addEventListener("change", () => { if (quality.value) bitrate.value = ""; });

  const complain = (text) => {
    error.textContent = text;
    error.hidden = text === "";
  };
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => complain(""));
  form.addEventListener("input", () => complain(""));

  function read() {
    const wrong = [...form.elements].find((field) => field.willValidate && !field.checkValidity());
    complain(wrong ? `${wrong.labels[0].textContent}: ${wrong.title || wrong.validationMessage} Nothing was uploaded.` : "");
    if (wrong) {
      details.open = true;
      wrong.focus();
      return null;
    }
    const all = new FormData(form);
    const formats = all.getAll("format").join(",");
    all.delete("format");
    if (formats !== "mp3") all.set("format", formats); // that is what comes unasked
    return [...all].filter(([, value]) => value.trim() !== "");
  }

  return {
    read,
    clear() {
      form.reset();
      details.open = false;
    },
  };
}

/** The options of a job as a line of text: "format mp3, flac; start 83.5". */
export function asText(options) {
  return Object.entries(options).map(([name, value]) => `${name.replace("_", " ")} ${short(name, value)}`).join("; ");
}

function short(name, value) {
  if (name === "bitrate") return `${value / 1000}k`;
  const characters = Array.from([value].flat().join(", "));
  return characters.length > 60 ? characters.slice(0, 59).join("") + "…" : characters.join("");
}
