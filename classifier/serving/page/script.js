"use strict";

const element = (id) => document.getElementById(id);
const address = `v1/models/${document.body.dataset.model}:classify`;
let latest = 0;

function percent(probability) {
  const text = (100 * probability).toFixed(1);
  return text === "100.0" && probability < 1 ? "> 99.9 %" : text === "0.0" && probability > 0 ? "< 0.1 %" : `${text} %`;
}

function row([name, probability]) {
  const item = document.createElement("li");
  const label = document.createElement("span");
  label.className = "name";
  label.textContent = name;
  const value = document.createElement("span");
  value.textContent = percent(probability);
  const bar = document.createElement("progress");
  bar.max = 1;
  bar.value = probability;
  bar.setAttribute("aria-label", name);
  item.append(label, value, bar);
  return item;
}

function show(message, kind, classes, milliseconds) {
  element("message").textContent = message;
  element("message").className = kind;
  element("message").hidden = message === "";
  element("classes").replaceChildren(...classes.map(row));
  element("classes").hidden = classes.length === 0;
  element("time").textContent = `${Math.round(milliseconds)} ms`;
  element("time").hidden = classes.length === 0;
  element("answer").setAttribute("aria-busy", "false");
}

function preview(file) {
  const image = element("image");
  URL.revokeObjectURL(image.src);
  image.src = URL.createObjectURL(file);
  image.hidden = false;
  element("hint").hidden = true;
}

async function classify(file) {
  const number = ++latest;
  preview(file);
  element("answer").setAttribute("aria-busy", "true");
  const start = performance.now();
  let failure = "The server does not answer.";
  try {
    const response = await fetch(address, {
      method: "POST", body: file, headers: { "Content-Type": "application/octet-stream" },
    });
    failure = `The server answered with status ${response.status}.`;
    const answer = await response.json();
    if (number !== latest) return;
    if (!response.ok) return show(answer.error.replace(/^image 0:? /, "The file "), "error", [], 0);
    const isRejected = answer.rejected !== undefined && answer.rejected[0];
    const none = answer.results[0].length ? "" : "No label";
    show(isRejected ? "None of these, most likely:" : none, "rejected", answer.results[0], performance.now() - start);
  } catch {
    if (number === latest) show(failure, "error", [], 0);
  }
}

function take(files) {
  const file = [...files].find((each) => each.type.startsWith("image/")) ?? files[0];
  if (file) classify(file);
}

for (const [button, input] of [["choose", "file"], ["camera", "photo"]]) {
  element(button).addEventListener("click", () => element(input).click());
  element(input).addEventListener("change", (event) => {
    take(event.target.files);
    event.target.value = "";
  });
}
element("image").addEventListener("error", () => {
  element("image").hidden = true;
  element("hint").hidden = false;
});
document.addEventListener("paste", (event) => take(event.clipboardData.files));
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  element("drop").classList.add("over");
});
document.addEventListener("dragleave", () => element("drop").classList.remove("over"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  element("drop").classList.remove("over");
  take(event.dataTransfer.files);
});
